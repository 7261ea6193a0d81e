"""`meddiff-fm evaluate super-resolve`: thin slices made of thick ones beside the real thin ones (paper, Table VII).

Protocol of RPLHR-CT (Yu et al. 2022): PSNR of the volume, SSIM (Gaussian 11, σ 1.5) of each axial slice averaged, the
first and last five thin slices left out. Thick slices are block means of the thin ones, or a second reconstruction of
the same scan (`real_pair`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from MedDiffFMLib.diffusion.slice_operators import cubic_slices, interpolate_slices
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.loading import Model
from MedDiffFMLib.tasks.super_resolve import super_resolve
from MedDiffFMLib.volumes.checks import check_ct
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume

from ..cases.box import Box, cut_box
from ..cases.volumes import PROTOCOL, axial_slab, find_volume, named_cases, starred, trained_on
from ..metrics.psnr_ssim import quality
from ..reports import paper
from ..reports.report import Line, Metric, Report, with_means

END_SLICES = 5
THIN = {"chest_lungfcp01": "chest", "chest_ricord1012_thin": "chest"}
IN_REPOSITORY = {"chest_ts_aorta": "chest"}
MISFIT = Metric("max |H·x̂ − y| (HU)", "down", 2)
METRICS = (*paper.SUPER_RESOLUTION, MISFIT)


@dataclass(frozen=True)
class SlicePair:
    """A scan in thick slices and the thin ones that are the truth, both axial (z to superior), in HU.

    thin: `factor` slices for each thick one. known: the first of them that the truth holds, and the one after the last
    (None for all); the others are not measured.
    """

    name: str
    region: str
    thick: Volume
    thin: np.ndarray
    factor: int
    known: tuple[int, int] | None = None
    real: bool = False


def thick_slices(ct: Volume, factor: int) -> Volume:
    """An axial CT with `factor` slices averaged into one, int16; slices that remain are left out."""
    count = ct.voxels.shape[0] // factor
    means = ct.voxels[: count * factor].reshape(count, factor, *ct.voxels.shape[1:]).mean(axis=1)
    upwards = np.reshape(ct.direction, (3, 3))[:, 2]
    origin = np.asarray(ct.origin) + upwards * ct.spacing[2] * (factor - 1) / 2
    spacing = (*ct.spacing[:2], ct.spacing[2] * factor)
    return replace(ct, voxels=np.rint(means).astype(np.int16), spacing=spacing, origin=tuple(origin.tolist()))


def simulated_pair(name: str, region: str, thin: Volume, factor: int) -> SlicePair:
    """A pair of an axial CT and its block means. InputError if it has not two blocks of slices."""
    if thin.voxels.shape[0] < 2 * factor:
        raise InputError(
            f"{name} has {thin.voxels.shape[0]} slices, too few for two thick ones: name a smaller --factor."
        )
    thick = thick_slices(thin, factor)
    return SlicePair(name, region, thick, thin.voxels[: len(thick.voxels) * factor], factor)


def find_pairs(data: Path | None, names: str | None, factor: int, box: Box | None = None) -> Iterator[SlicePair]:
    """Pairs of the named volumes of a folder (`cases.named_cases`), one by one; of a test and a validation chest if
    none is named, of the repository's without a folder. InputError at once if a volume is missing.
    """
    regions = named_cases(names, THIN if data else IN_REPOSITORY)
    files = {name: find_volume(data, name) for name in regions}
    return (
        simulated_pair(name, regions[name], cut_box(axial_slab(_read(file)), box), factor)
        for name, file in files.items()
    )


def read_pair(thick: Path, thin: Path, region: str) -> SlicePair:
    """`real_pair` of two files."""
    return real_pair(axial_slab(_read(thick)), axial_slab(_read(thin)), region)


def _read(file: Path) -> Volume:
    volume = read_volume(file)
    check_ct(volume)
    return volume


def real_pair(thick: Volume, thin: Volume, region: str) -> SlicePair:
    """A pair of two reconstructions of one scan, both axial. The factor is the ratio of their slice distances.

    InputError unless they share the pixel grid, the ratio is whole, and the thin slices lie where thick ones split.
    """
    name = Path(thick.source or "thick").name.removesuffix(".nii.gz")
    ratio = thick.spacing[2] / thin.spacing[2]
    factor = round(ratio)
    shift = (np.array(thick.origin) - thin.origin) @ np.reshape(thin.direction, (3, 3))
    in_plane = thick.voxels.shape[1:] == thin.voxels.shape[1:] and np.allclose(
        thick.spacing[:2], thin.spacing[:2], 1e-3
    )
    if not in_plane or np.abs(shift[:2]).max() > 0.1 * min(thin.spacing[:2]):
        raise InputError(f"{name} and its thin slices have other pixels: give two reconstructions on one pixel grid.")
    first = shift[2] / thin.spacing[2] - (factor - 1) / 2  # thin slice that the first new one is
    if factor < 2 or abs(ratio - factor) > 0.02 or abs(first - round(first)) > 0.1:
        raise InputError(
            f"The slices of {name} are {thick.spacing[2]:g} mm apart, the thin ones {thin.spacing[2]:g} mm, and do not "
            "split into them: give thin slices whose distance is a whole part and whose places fit."
        )
    first, count = round(first), thick.voxels.shape[0] * factor
    start, stop = max(0, -first), min(count, thin.voxels.shape[0] - first)
    if stop <= start:
        raise InputError(f"{name} and its thin slices do not overlap: give two reconstructions of one scan.")
    truth = np.zeros((count, *thin.voxels.shape[1:]), thin.voxels.dtype)
    truth[start:stop] = thin.voxels[start + first : stop + first]
    return SlicePair(name, region, thick, truth, factor, (start, stop), real=True)


def evaluate_super_resolution(
    pairs: Iterable[SlicePair],
    qualities: Sequence[str],
    model: Model | None = None,
    seed: int = 0,
    end_slices: int = END_SLICES,
    log: Callable[[str], None] = print,
) -> Report:
    """Interpolation and the model in every quality, on every pair. `model` may be None if `qualities` is empty.

    end_slices: thin slices at each end that are not measured. InputError if none remain.
    """
    lines, cases = [], []
    for pair in pairs:
        log(f"{pair.name}: {len(pair.thick.voxels)} slices of {pair.thick.spacing[2]:g} mm, factor {pair.factor}")
        for method, run in _methods(pair, qualities, model, seed):
            started = time.perf_counter()
            hu = run()
            seconds = time.perf_counter() - started
            values = measure(pair, hu, end_slices)
            lines.append(Line(_group(pair), method, values))
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
        notes=_notes(cases, end_slices),
        facts={"end_slices": end_slices},
        cases=cases,
    )


def _methods(pair: SlicePair, qualities: Sequence[str], model: Model | None, seed: int) -> list[tuple[str, Callable]]:
    """(name, run) of every method; run() gives thin slices in HU, float32 (Z, Y, X)."""
    y, f = pair.thick.voxels.astype(np.float32), pair.factor

    def spline() -> np.ndarray:  # through the middles of the slices, the outer faces kept
        return ndimage.zoom(y, (f, 1, 1), order=3, mode="nearest", grid_mode=True)

    def by_model(quality_name: str) -> np.ndarray:
        result = super_resolve(pair.thick, model, quality=quality_name, factor=f, region=pair.region, seed=seed)
        return result.volume.voxels.astype(np.float32)

    return [
        ("linear", lambda: interpolate_slices(torch.from_numpy(y), f).numpy()),
        ("cubic", spline),
        ("spline that keeps block means", lambda: cubic_slices(torch.from_numpy(y), f).numpy()),
        *((f"model, {q}", lambda q=q: by_model(q)) for q in qualities),
    ]


def measure(pair: SlicePair, hu: np.ndarray, end_slices: int = END_SLICES) -> tuple[float, float, float]:
    """PSNR in dB, SSIM, and how far the block means are from the thick slices at most, in HU.

    hu: thin slices (Z, Y, X). PSNR and SSIM over whole slices within the region's HU window, which is the data range.
    """
    start, stop = pair.known or (0, len(pair.thin))
    kept = slice(start + end_slices, max(stop - end_slices, 0))
    made, truth = hu[kept], pair.thin[kept]
    if not len(made):
        raise InputError(f"{pair.name} has too few slices to leave out {end_slices} at each end: name fewer --ends.")
    window = PROTOCOL[pair.region][0]
    close = quality(made, truth, np.ones(truth.shape, bool), window)
    means = hu.astype(np.float64).reshape(-1, pair.factor, *hu.shape[1:]).mean(axis=1)
    return close.psnr, close.ssim, float(np.abs(means - pair.thick.voxels).max())


def _group(pair: SlicePair) -> str:
    (low, high), mm = PROTOCOL[pair.region][0], pair.thick.spacing[2]
    return f"{starred(pair.name)}\n{mm:g} → {mm / pair.factor:g} mm\nwindow {low:g} … {high:g} HU"


def _notes(cases: Sequence[dict], end_slices: int) -> list[str]:
    notes = [
        f"PSNR of the volume, SSIM of each axial slice, {end_slices} thin slices left out at each end (RPLHR-CT: 5); "
        "its HU window is another, so its figures cannot be compared with these."
    ]
    if any(not case["real"] for case in cases):
        notes.append("Thick slices are block means of the thin ones; the paper's are real reconstructions.")
    if any(case["trained_on"] for case in cases):
        notes.append("* a volume that the bundled model was trained on.")
    return notes
