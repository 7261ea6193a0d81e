"""`meddiff-fm evaluate super-resolve`: thin slices made of thick ones beside the real thin ones (paper, Table VII).

Protocol of RPLHR-CT (Yu et al. 2022): PSNR of the volume, SSIM (Gaussian 11, σ 1.5) of each axial slice averaged, the
first and last five thin slices left out. Thick slices are block means of the thin ones, or a second reconstruction of
the same scan (`cases.slice_pairs.real_pair`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from MedDiffFMLib.diffusion.slice_operators import cubic_slices, interpolate_slices
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
    """The slices and the window that are counted. end_slices: thin slices left out at each end; window: HU, None for
    the region's.
    """

    end_slices: int = END_SLICES
    window: tuple[float, float] | None = None


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
        log(f"{pair.name}: {len(pair.thick.voxels)} slices of {pair.thick.spacing[2]:g} mm, factor {pair.factor}")
        elsewhere = result_methods(results, pair.name, pair.grid)
        for method, run in elsewhere + _methods(pair, qualities, model, seed):
            started = time.perf_counter()
            hu = run()
            seconds = time.perf_counter() - started
            values = measure(pair, hu, counted)
            lines.append(ReportRow(_group(pair, counted), method, values))
            named = dict(zip(("psnr", "ssim", "block_mean_error_hu"), values, strict=True))
            case = {"case": pair.name, "region": pair.region, "trained_on": trained_on(pair.name), "real": pair.real}
            cases.append(case | {"factor": pair.factor, "method": method, **named, "seconds": seconds})
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


def _methods(pair: SlicePair, qualities: Sequence[str], model: Model | None, seed: int) -> list[tuple[str, Callable]]:
    """(name, run) of every method; run() gives thin slices in HU, float32 (Z, Y, X)."""
    y, f = pair.thick.voxels.astype(np.float32), pair.factor

    def spline() -> np.ndarray:  # through the middles of the slices, the outer faces kept
        return ndimage.zoom(y, (f, 1, 1), order=3, mode="nearest", grid_mode=True)

    def by_model(quality_name: str) -> np.ndarray:
        result = super_resolve(
            pair.thick, model, pair.anatomy, quality=quality_name, factor=f, region=pair.region, seed=seed
        )
        return result.volume.voxels.astype(np.float32)

    return [
        ("linear", lambda: interpolate_slices(torch.from_numpy(y), f).numpy()),
        ("cubic", spline),
        ("spline that keeps block means", lambda: cubic_slices(torch.from_numpy(y), f).numpy()),
        *((f"model, {q}", lambda q=q: by_model(q)) for q in qualities),
    ]


def measure(pair: SlicePair, hu: np.ndarray, counted: SlicesCounted) -> tuple[float, float, float]:
    """PSNR in dB, SSIM, and how far the block means are from the thick slices at most, in HU.

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
    means = hu.astype(np.float64).reshape(-1, pair.factor, *hu.shape[1:]).mean(axis=1)
    return close.psnr, close.ssim, float(np.abs(means - pair.thick.voxels).max())


def _group(pair: SlicePair, counted: SlicesCounted) -> str:
    (low, high), mm = counted.window or PROTOCOL[pair.region][0], pair.thick.spacing[2]
    return f"{starred(pair.name)}\n{mm:g} → {mm / pair.factor:g} mm\nwindow {low:g} … {high:g} HU"


def _notes(cases: Sequence[dict], counted: SlicesCounted) -> list[str]:
    notes = [
        f"PSNR of the volume, SSIM of each axial slice, {counted.end_slices} thin slices left out at each end "
        "(RPLHR-CT: 5). Figures of another HU window cannot be compared; the paper does not name its own (--window)."
    ]
    if any(not case["real"] for case in cases):
        notes.append("Thick slices are block means of the thin ones; the paper's are real reconstructions.")
    if any(case["trained_on"] for case in cases):
        notes.append("* a volume that the bundled model was trained on.")
    return notes
