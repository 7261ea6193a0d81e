"""`meddiff-fm evaluate detect-anomalies`: does the map find lesions that are known? (paper, Table VI)

Baselines without a model: the distance of each voxel from the organ's median HU, as it is and smoothed like the model's
map. The model's score is how far its map is from the map's own median in the organ, as its automatic threshold counts.
Both may be asked for darker or for brighter anomalies only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from MedDiffFMLib.anatomy.regions import REGIONS
from MedDiffFMLib.models.loading import Model
from MedDiffFMLib.tasks.detect_anomalies import detect_anomalies
from MedDiffFMLib.tasks.pseudo_healthy import smooth_within

from ..cases.anomaly_case import AnomalyCase
from ..cases.results import result_methods
from ..cases.volumes import starred, trained_on
from ..metrics.anomalies import detection_quality
from ..reports import paper
from ..reports.report import Report, ReportRow, with_means

NO_FINDINGS_ML = 1000.0  # the map is wanted, not the table of findings
METRIC_NAMES = ("image_auroc", "pixel_auroc", "pro", "dice")


@dataclass(frozen=True)
class DetectSettings:
    """Settings of the model's map. noise_levels: each t is a line of the table, empty for the model's own; draws: of
    noise, None for the model's own. direction: either, darker or brighter. smoothing_mm: of the map and the smoothed
    baseline. from_median: whether the model's score is how far the map is from its own median, or (the paper) from 0.
    quality: of the task.
    """

    noise_levels: tuple[int, ...] = ()
    draws: int | None = None
    direction: str = "either"
    smoothing_mm: float = 2.0
    seed: int = 0
    from_median: bool = True
    quality: str = "balanced"


def evaluate_detection(
    cases: Iterable[AnomalyCase],
    model: Model | None = None,
    settings: DetectSettings | None = None,
    results: Sequence[Path] = (),
    log: Callable[[str], None] = print,
) -> Report:
    """The baselines, and the model if there is one, on every case. results: folders of maps that other methods made."""
    settings = settings or DetectSettings()
    lines, rows = [], []
    for case in cases:
        milliliters = case.lesion.sum() * np.prod(case.volume.spacing) / 1000
        share = case.lesion.sum() / case.counted.sum()
        log(f"{case.name}: {case.organ}, lesion of {milliliters:.1f} ml, {100 * share:.2g} % of it")
        for method, run in methods_of(case, model, settings, results):
            started = time.perf_counter()
            score = run()
            seconds = time.perf_counter() - started
            values = detection_quality(score, case.lesion, case.counted)
            lines.append(ReportRow(_group(case), method, values))
            rows.append(_row(case, milliliters, share, method, values, seconds))
            named = zip(METRIC_NAMES, values, strict=True)
            log(f"  {method}: " + ", ".join(f"{n} {v:.3f}" for n, v in named if v is not None) + f", {seconds:.0f} s")
    return Report(
        task="detect-anomalies",
        title="Anomaly detection, among the organ's voxels",
        metrics=paper.DETECTION,
        lines=with_means(lines),
        paper_table="Table VI (BMAD liver, 1,493 slices)",
        paper=paper.TABLE_VI,
        notes=_notes(rows),
        facts={"settings": asdict(settings)},
        cases=rows,
    )


def methods_of(
    case: AnomalyCase, model: Model | None, settings: DetectSettings, results: Sequence[Path] = ()
) -> list[tuple[str, Callable]]:
    """(name, run) of every method; run() gives the score of each voxel, float32 (Z, Y, X), 0 outside the organ. Maps of
    other methods (`results`) are taken as they are: the higher, the more abnormal.
    """
    bars = {"either": "|HU − median|", "darker": "median − HU", "brighter": "HU − median"}
    name, levels = bars[settings.direction], settings.noise_levels or (None,)
    found = [
        (name, lambda: from_median(case, 0.0, settings.direction)),
        (f"{name}, smoothed", lambda: from_median(case, settings.smoothing_mm, settings.direction)),
    ]
    if model is not None:
        found += [(_name(t), lambda t=t: by_model(case, model, settings, t)) for t in levels]
    return found + result_methods(results, case.name, case.volume, in_hu=False)


def _name(t: int | None) -> str:
    return "model" if t is None else f"model, t = {t}"


def from_median(case: AnomalyCase, smoothing_mm: float, direction: str) -> np.ndarray:
    """The distance of each voxel from the organ's median, within the region's HU window, smoothed within the organ."""
    counted = case.counted
    hu = np.clip(case.volume.voxels.astype(np.float32), *REGIONS[case.region].window)
    difference = np.where(counted, hu - np.median(hu[counted]), np.float32(0))
    return directed_score(
        smooth_within(difference, counted, smoothing_mm, case.volume.spacing[::-1]), counted, direction
    )


def by_model(case: AnomalyCase, model: Model, settings: DetectSettings, t: int | None) -> np.ndarray:
    """The distance of the model's map from its median in the organ, or from 0. t: None for the model's own."""
    options = {"organ": case.organ, "region": case.region, "smoothing": settings.smoothing_mm, "seed": settings.seed}
    options["quality"] = settings.quality
    result = detect_anomalies(
        case.volume, model, case.anatomy, noise_level=t, draws=settings.draws, min_volume=NO_FINDINGS_ML, **options
    )
    found, counted = result.map.voxels, case.counted
    middle = np.median(found[counted]) if settings.from_median else 0
    return directed_score(found - middle, counted, settings.direction)


def directed_score(difference: np.ndarray, counted: np.ndarray, direction: str) -> np.ndarray:
    """The score of a difference: how far it is up, down, or either way. 0 outside `counted`."""
    score = {"either": np.abs, "darker": np.negative, "brighter": np.asarray}[direction](difference)
    return np.where(counted, score, np.float32(0))


def _group(case: AnomalyCase) -> str:
    if case.planted is None:
        return f"{starred(case.name)}\n{case.organ}, real lesion"
    planted = case.planted
    return f"{starred(case.name)}\n{case.organ}, planted\n{planted.diameter_mm:g} mm, {planted.offset_hu:+g} HU"


def _row(case: AnomalyCase, milliliters: float, share: float, method: str, values: Sequence, seconds: float) -> dict:
    return {
        "case": case.name,
        "region": case.region,
        "organ": case.organ,
        "trained_on": trained_on(case.name),
        "planted": asdict(case.planted) if case.planted else None,
        "lesion_ml": round(float(milliliters), 2),
        "lesion_share": float(share),
        "method": method,
        **dict(zip(METRIC_NAMES, values, strict=True)),
        "seconds": seconds,
    }


def _notes(rows: Sequence[dict]) -> list[str]:
    notes = [
        "Counted are the organ's voxels (its mask holds the lesion); an image is an axial slice, its score that of its "
        "highest voxel. BMAD counts the black ground around the organ too, which raises its pixel AUROC.",
        "PRO: false positive rate up to 0.3, normalized; Dice: the map of each slice with a lesion scaled to [0, 1], "
        "threshold 0.5, averaged over these slices. “–”: every slice shows the lesion.",
    ]
    if any(row["organ"] == "body" for row in rows):
        notes.append(
            "Image AUROC in the body also separates slices with much bone or gas from others, with or without a lesion."
        )
    if any(row["planted"] for row in rows):
        notes.append(
            "Planted anomalies are blended ellipsoids of one offset in HU, which a median finds easily; no tumor is."
        )
    if not all(row["planted"] for row in rows):
        notes.append(
            "Real lesions: organs are those given, body, lungs, bones and gas by thresholds elsewhere; the lesion "
            "counts to the organ."
        )
    if any(row["trained_on"] for row in rows):
        notes.append("* a volume that the bundled model was trained on, with its lesion if it has one.")
    return notes
