"""`meddiff-fm evaluate super-resolve`: thin slices made of thick ones beside the real thin ones (paper, Table VII).

Protocol of RPLHR-CT (Yu et al. 2022): PSNR of the volume, SSIM (Gaussian 11, σ 1.5) of each axial slice averaged, the
first and last five thin slices left out. Thick slices are plain means of the thin ones, means by the profile that a
thickness gives, or a second reconstruction of the same scan (`cases.slice_pairs.real_pair`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from MedDiffFMLib.diffusion.slice_operators import interpolate_slices
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.loading import Model
from MedDiffFMLib.tasks.super_resolve import super_resolve

from ..cases.results import result_methods
from ..cases.slice_pairs import SlicePair
from ..cases.volumes import PROTOCOL, starred, trained_on
from ..metrics.psnr_ssim import quality
from ..reports import paper
from ..reports.report import Metric, Report, ReportRow, with_means

END_SLICES = 5
MISFIT = Metric("max |H·x̂ − y| (HU)", "down", 2)
METRICS = (*paper.SUPER_RESOLUTION, MISFIT)


@dataclass(frozen=True)
class SlicesCounted:
    """What is counted. end_slices: thin slices left out at each end; window: HU, None for
    the region's. plain_too: the model is measured once more where it takes slices of a thickness for plain means.
    """

    end_slices: int = END_SLICES
    window: tuple[float, float] | None = None
    plain_too: bool = False


def evaluate_super_resolution(
    pairs: Iterable[SlicePair],
    qualities: Sequence[str],
    model: Model | None = None,
    seed: int = 0,
    counted: SlicesCounted = SlicesCounted(),
    results: Sequence[Path] = (),
    log: Callable[[str], None] = print,
) -> Report:
    """Interpolation and the model in every quality, on every pair. `model` may be None if `qualities` is empty.

    results: folders of images that other methods made. InputError if no slices remain to be counted.
    """
    lines, cases = [], []
    for pair in pairs:
        distance = f"{len(pair.thick.voxels)} slices {pair.thick.spacing[2]:g} mm apart"
        log(f"{pair.name}: {distance}, factor {pair.factor}; {pair.thickness_text}")
        elsewhere = result_methods(results, pair.name, pair.grid)
        for method, run in elsewhere + _methods(pair, qualities, model, seed, counted.plain_too):
            started = time.perf_counter()
            hu = run()
            seconds = time.perf_counter() - started
            values = measure(pair, hu, counted)
            lines.append(ReportRow(_group(pair, counted), method, values))
            cases.append(_facts(pair, method, values, seconds))
            log(f"  {method}: {values[0]:.2f} dB, SSIM {values[1]:.3f}, off by {values[2]:.2f} HU, {seconds:.0f} s")
    return Report(
        task="super-resolve",
        title="Super-resolution across slices",
        metrics=METRICS,
        lines=with_means(lines),
        paper_table="Table VII (RPLHR-CT, real pairs of 5 and 1 mm)",
        paper=paper.TABLE_VII,
        paper_metrics=paper.SUPER_RESOLUTION,
        notes=_notes(cases, counted),
        facts={"end_slices": counted.end_slices, "window": counted.window},
        cases=cases,
    )


def _facts(pair: SlicePair, method: str, values: tuple[float, float, float], seconds: float) -> dict:
    """The facts of a row in JSON: of its pair, and what was measured."""
    return {
        "case": pair.name,
        "region": pair.region,
        "trained_on": trained_on(pair.name),
        "real": pair.real,
        "factor": pair.factor,
        "slice_thickness_mm": pair.thickness,
        "thin_slice_thickness_mm": pair.thin_thickness,
        "method": method,
        **dict(zip(("psnr", "ssim", "block_mean_error_hu"), values, strict=True)),
        "seconds": seconds,
    }


def _methods(
    pair: SlicePair, qualities: Sequence[str], model: Model | None, seed: int, plain_too: bool
) -> list[tuple[str, Callable]]:
    """(name, run) of every method; run() gives thin slices in HU, float32 (Z, Y, X)."""
    y, f = pair.thick.voxels.astype(np.float32), pair.factor
    thick = replace(pair.thick, slice_thickness=None)

    def spline() -> np.ndarray:  # through the middles of the slices, the outer faces kept
        return ndimage.zoom(y, (f, 1, 1), order=3, mode="nearest", grid_mode=True)

    def by_model(quality_name: str, thickness: float | None) -> np.ndarray:
        known = {"factor": f, "region": pair.region, "seed": seed}
        result = super_resolve(thick, model, pair.anatomy, quality=quality_name, thickness=thickness, **known)
        return result.volume.voxels.astype(np.float32)

    def of_model(quality_name: str) -> list[tuple[str, Callable]]:
        thickness = None if quality_name == "paper" else pair.thickness
        runs = [(f"model, {quality_name}", lambda: by_model(quality_name, thickness))]
        if plain_too and thickness is not None:
            runs.append((f"model, {quality_name}, as plain means", lambda: by_model(quality_name, None)))
        return runs

    return [
        ("linear", lambda: interpolate_slices(torch.from_numpy(y), f).numpy()),
        ("cubic", spline),
        ("spline that keeps the means", lambda: pair.split.interpolated(torch.from_numpy(y)).numpy()),
        *(run for quality_name in qualities for run in of_model(quality_name)),
    ]


def measure(pair: SlicePair, hu: np.ndarray, counted: SlicesCounted) -> tuple[float, float, float]:
    """PSNR in dB, SSIM, and how far the means under the pair's H are from the thick slices at most, in HU.

    hu: thin slices (Z, Y, X). PSNR and SSIM over whole slices within the HU window, which is the data range.
    """
    end_slices = counted.end_slices
    start, stop = pair.known or (0, len(pair.thin))
    kept = slice(start + end_slices, max(stop - end_slices, 0))
    counted_hu, truth = hu[kept], pair.thin[kept]
    if not len(counted_hu):
        raise InputError(f"{pair.name} has too few slices to leave out {end_slices} at each end: name fewer --ends.")
    window = counted.window or PROTOCOL[pair.region][0]
    close = quality(counted_hu, truth, np.ones(truth.shape, bool), window)
    means = pair.split.means(torch.from_numpy(hu.astype(np.float64))).numpy()
    return close.psnr, close.ssim, float(np.abs(means - pair.thick.voxels).max())


def _group(pair: SlicePair, counted: SlicesCounted) -> str:
    (low, high), mm = counted.window or PROTOCOL[pair.region][0], pair.thick.spacing[2]
    distances = f"{mm:g} → {mm / pair.factor:g} mm"
    return f"{starred(pair.name)}\n{distances}; {pair.thickness_text}\nwindow {low:g} … {high:g} HU"


def _notes(cases: Sequence[dict], counted: SlicesCounted) -> list[str]:
    notes = [
        f"PSNR of the volume, SSIM of each axial slice, {counted.end_slices} thin slices left out at each end "
        "(RPLHR-CT: 5). Figures of another HU window cannot be compared; the paper does not name its own (--window)."
    ]
    if any(not case["real"] for case in cases):
        notes.append("Thick slices are means of the thin ones; the paper's are real reconstructions.")
    if any(case["trained_on"] for case in cases):
        notes.append("* a volume that the bundled model was trained on.")
    return notes
