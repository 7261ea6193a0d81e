"""`meddiff-fm evaluate synthesize`: CTs made of the label maps of real ones, beside these (paper, IV-A3, Table IV)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from MedDiffFMLib.inference.levels import level_of
from MedDiffFMLib.models.loading import Model
from MedDiffFMLib.progress import ProgressCallback
from MedDiffFMLib.tasks.facts import SynthesizeFacts
from MedDiffFMLib.tasks.settings import settings_for
from MedDiffFMLib.tasks.synthesize import QUALITIES, synthesize
from MedDiffFMLib.volumes.frame import AIR_HU
from MedDiffFMLib.volumes.intensity import to_model
from MedDiffFMLib.volumes.volume import Volume

from ..cases.results import resampled_result
from ..cases.synthesis import LabeledCt, group_by_region, paint_labels
from ..cases.volumes import trained_on
from ..metrics import similarity
from ..metrics.anatomy import (
    dice_of_each,
    find_tissues,
    mean,
    organ_masks,
    organ_medians,
    seam,
    window_borders,
    within_real_range,
)
from ..metrics.features import Features
from ..reports import paper
from ..reports.report import Metric, Report, ReportRow

HU_ERROR = Metric("|Δ median HU| of organs", "down", 1)
SEAM = Metric("seam / real", "down", 2)
IN_RANGE = Metric("organs in real range", "up", 2)
BORDERS = Metric("borders / elsewhere", "down", 2)
METRICS = (*paper.SYNTHESIS, HU_ERROR, IN_RANGE, BORDERS, SEAM)
UNCLIPPED = (-np.inf, np.inf)
PAINTED = "labels in their median HU"


@dataclass(frozen=True)
class ImageMetrics:
    """Settings of an image's metrics. segment: a CT to labels, None for tissues."""

    features: Features | None
    segment: Callable[[Volume], np.ndarray] | None = None


@dataclass(frozen=True)
class Measured:
    """One image beside its real CT: `values` for the JSON, and the features of both by crop, (N, C)."""

    case: str
    method: str
    values: dict
    features: tuple[torch.Tensor, torch.Tensor] | None = field(default=None, repr=False)


def compare(
    pairs: Iterable[LabeledCt],
    models: Sequence[Model],
    metrics: ImageMetrics,
    elsewhere: Sequence[Path] = (),
    progress: ProgressCallback | None = None,
    **parameters,
) -> list[Measured]:
    """A synthetic CT of each pair's labels by each model, the labels painted, and the CTs that other methods made (a
    folder a method), beside the real CT. One pair is in memory at a time: of those before only numbers are kept.
    parameters: of `synthesize`.
    """

    def rows_of(pair: LabeledCt) -> list[Measured]:
        rows = []
        for model in models:
            result = synthesize(pair.labels, model, progress, region=pair.region, **parameters)
            borders = _borders(result.facts, pair, model, parameters)
            rows.append(measure(pair, result.volumes[0].voxels, model.name, metrics, borders))
        rows.append(measure(pair, paint_labels(pair).voxels, PAINTED, metrics))
        for folder in elsewhere:
            hu = resampled_result(folder, pair.name, pair.ct)
            rows.append(measure(pair, hu, folder.resolve().name, metrics))
        return rows

    return with_ms_ssim([row for rows in map(rows_of, pairs) for row in rows])  # a loop would hold a pair too long


def with_ms_ssim(rows: Sequence[Measured]) -> list[Measured]:
    """The rows with the MS-SSIM of the kernel that fits all of them (None if none does)."""
    kernel = kernel_of(rows)
    return [replace(row, values=row.values | {"ms_ssim": row.values["ms_ssim_by_kernel"].get(kernel)}) for row in rows]


def kernel_of(rows: Sequence[Measured]) -> int | None:
    """The largest kernel with which all images have MS-SSIM, None if none fits."""
    return similarity.kernel_that_fits([row.values["size"] for row in rows])


def measure(
    pair: LabeledCt, hu: np.ndarray, method: str, metrics: ImageMetrics, borders: Sequence[Sequence[int]] | None = None
) -> Measured:
    """An image in HU (Z, Y, X) beside the pair's real CT. borders: of its windows by axis, None for one without."""
    real = np.where(pair.body, pair.ct.voxels, AIR_HU)  # a table is none of the label map's
    units = [(to_model(image, pair.window) + 1) / 2 for image in (hu, real)]
    medians = organ_medians(pair.organs, pair.window, real=real, synthetic=hu)
    whole = organ_medians(pair.organs, UNCLIPPED, real=real, synthetic=hu)
    within = within_real_range(whole, "synthetic")
    parts = _dice(pair, hu, real, metrics)
    values = {
        "region": pair.region,
        "trained_on": trained_on(pair.name),
        "labels": pair.made_by,
        "size": list(hu.shape[::-1]),
        "spacing_mm": [round(s, 3) for s in pair.ct.spacing],
        "ms_ssim": None,  # see `with_ms_ssim`: which kernel fits all images is known at the end
        "ms_ssim_by_kernel": {kernel: similarity.ms_ssim(*units, kernel) for kernel in similarity.kernels(hu.shape)},
        "lpips": None,
        "dice": mean(list(parts.values())),
        "dice_of": parts,
        "median_hu_of": medians,
        "hu_error": mean([abs(m["synthetic"] - m["real"]) for m in medians.values()]),
        "median_hu_unclipped_of": whole,
        "out_of_real_range": [name for name, inside in within.items() if not inside],
        "in_range": mean([float(inside) for inside in within.values()]),
        **_seams(hu, real, borders, pair.body),
    }
    if metrics.features is None:
        return Measured(pair.name, method, values)
    maps = [metrics.features.maps(2 * unit - 1, pair.region) for unit in units]
    values["lpips"] = similarity.perceptual_distance(*maps)
    return Measured(pair.name, method, values, tuple(similarity.pool_features(maps_of_image) for maps_of_image in maps))


def _dice(pair: LabeledCt, hu: np.ndarray, real: np.ndarray, metrics: ImageMetrics) -> dict[str, float]:
    """Dice by organ, of those found and those asked for, or by tissue, of those found in the image and the real CT."""
    if metrics.segment is None:
        found, given = (find_tissues(image, pair.window, pair.body) for image in (hu, real))
        return dice_of_each(found, given)
    found = organ_masks(metrics.segment(pair.ct.with_voxels(np.asarray(hu, np.float32))), pair.region)
    return dice_of_each(found, organ_masks(pair.organs, pair.region))


def _seams(hu: np.ndarray, real: np.ndarray, borders, body: np.ndarray) -> dict[str, float | None]:
    """The seam of the image, of the real CT at the same places, and their ratio: anatomy has edges there too."""
    of_image, of_real = (None if borders is None else seam(image, borders, body) for image in (hu, real))
    return {
        "seam": of_image,
        "seam_of_real": of_real,
        "seam_ratio": of_image / of_real if of_image and of_real else None,
    }


def _borders(facts: SynthesizeFacts, pair: LabeledCt, model: Model, parameters: dict) -> list[list[int]]:
    """The borders of the last level's tiles by axis, in voxels of the label map."""
    quality = parameters.get("quality", "balanced")
    settings = settings_for(model, "synthesize", QUALITIES[quality], quality)
    shape, patch = pair.labels.voxels.shape, model.network.config.patch
    fine = level_of(facts.levels[-1].level, shape, pair.labels.spacing[::-1], patch).shape
    return window_borders(shape, fine, patch, settings.overlap)


def report_of(rows: Sequence[Measured], notes: Sequence[str], facts: dict) -> Report:
    """The table in the layout of Table IV, a group a region, and "overall"."""
    regions = {row.case: row.values["region"] for row in rows}
    lines = []
    for group, names in group_by_region(regions).items():
        star = " *" if any(map(trained_on, names)) else ""
        for method in dict.fromkeys(row.method for row in rows):
            chosen = [row for row in rows if row.case in names and row.method == method]
            lines.append(ReportRow(group + star, method, _values(chosen)))
    cases = [{"case": row.case, "method": row.method, **row.values} for row in rows]
    title = "Synthesis from the label maps of real CT, beside the real CT"
    return Report("synthesize", title, METRICS, lines, "Table IV", paper.TABLE_IV, paper.SYNTHESIS, notes, facts, cases)


def distances(rows: Sequence[Measured]) -> tuple[float | None, float | None]:
    """FID and MMD of all crops of some images and those of their real CTs."""
    known = [row.features for row in rows if row.features is not None]
    if not known:
        return None, None
    synthetic, real = (torch.cat(sets) for sets in zip(*known, strict=True))
    return similarity.fid(synthetic, real), similarity.mmd(synthetic, real)


def _values(rows: Sequence[Measured]) -> tuple[float | None, ...]:

    def of(name: str) -> float | None:
        return mean([row.values[name] for row in rows])

    return (
        of("ms_ssim"),
        of("lpips"),
        *distances(rows),
        of("dice"),
        of("hu_error"),
        *map(of, ("in_range", "seam", "seam_ratio")),
    )


def notes_on(rows: Sequence[Measured], metrics: ImageMetrics, spacing_mm: float | None) -> list[str]:
    """The notes that a reader of the table needs."""
    first = rows[0].method
    crops = {row.case: len(row.features[0]) for row in rows if row.features is not None and row.method == first}
    notes = [f"{name}: {values['region']}, labels by {values['labels']}" for name, values in _of_first(rows, first)]
    grid = f"{spacing_mm:g} mm" if spacing_mm else "the CT's own"
    notes.append(f"Grid: {grid} (the paper: 1 mm). Images in the region's HU window, air outside the body.")
    if kernel := kernel_of(rows):
        notes.append(f"MS-SSIM: 3D, five scales, kernel {kernel}³: 11³ needs 176 voxels along every axis.")
    else:
        notes.append("MS-SSIM: not measured, its five scales need 48 voxels along every axis.")
    if metrics.features is None:
        notes.append("LPIPS, FID, MMD: not measured (--features none).")
    else:
        count = sum(crops.values())
        notes.append(metrics.features.note)
        notes.append(
            f"FID and MMD: of {count} crops, not of volumes; of so few FID is too large, MMD 0 where chance hides it."
        )
    if metrics.segment is None:
        notes.append(
            "Dice: of tissues by their HU (lung and gas, fat, soft tissue, bone, as far as the window shows them) "
            "in the synthetic and in the real CT; not of TotalSegmentator's organs, as the paper's."
        )
    else:
        notes.append("Dice: of the paper's organs, found by TotalSegmentator, and those of the label map.")
    notes.append(f"{PAINTED}: no model, the real CT's own medians; what texture adds can be seen beside it.")
    notes.append("Median HU: of organs' cores, one voxel within their masks, clipped to the region's window.")
    notes.append(
        "Organs in real range: share whose median, not clipped, lies between the lowest and the highest of real "
        "patients, without contrast medium or with any phase of it, by textbooks (real_hu.py)."
    )
    notes += [f"{row.case}, {row.method}: out of range {', '.join(out)}." for row in rows if (out := _out(row))]
    notes.append(
        "Borders / elsewhere: the gradient across windows' borders over that elsewhere; seam: over the real CT's."
    )
    if any(row.values["trained_on"] for row in rows):
        notes.append("* with a volume that the bundled model was trained on")
    return notes


def _out(row: Measured) -> list[str]:
    medians = row.values["median_hu_unclipped_of"]
    return [f"{name} ({medians[name]['synthetic']:.0f} HU)" for name in row.values["out_of_real_range"]]


def _of_first(rows: Sequence[Measured], method: str) -> list[tuple[str, dict]]:
    return [(row.case, row.values) for row in rows if row.method == method]
