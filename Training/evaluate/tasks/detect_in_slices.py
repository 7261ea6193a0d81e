"""`meddiff-fm evaluate detect-anomalies --bmad`: maps of stacked slices, measured over all slices together as BMAD
does, with the black ground, which the benchmark counts, and without it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.loading import Model

from ..cases.anomaly_case import AnomalyCase
from ..metrics.anomalies import detection_quality
from ..reports import paper
from ..reports.report import Report, ReportRow
from .detect_anomalies import METRIC_NAMES, DetectSettings, methods_of

WHOLE, ORGAN = "whole image, as BMAD", "within the organ"
NOTES = (
    "All slices count together, whatever stack they were computed in; an image is a slice, its score that of its "
    "highest voxel. The whole image has the black ground around the organ too, whose score is 0.",
    "PRO: false positive rate up to 0.3, normalized; Dice: the map of each slice with a lesion scaled to [0, 1], "
    "threshold 0.5, averaged over these slices.",
    "BMAD gives gray and no HU: the window that gray was taken for, and the distance of pixels, are this command's "
    "(--gray-window, --pixel), not the benchmark's.",
)


def evaluate_slices(
    cases: Iterable[AnomalyCase],
    model: Model | None = None,
    settings: DetectSettings | None = None,
    results: Sequence[Path] = (),
    log: Callable[[str], None] = print,
) -> Report:
    """The baselines, the model if there is one, and other methods' maps on all slices of all pseudo-volumes."""
    settings = settings or DetectSettings()
    scores, lesions, organs, seconds = defaultdict(list), [], [], defaultdict(float)
    for case in cases:
        if lesions and case.lesion.shape[1:] != lesions[0].shape[1:]:
            raise InputError(f"The slices of {case.name} have other pixels than those before: give slices of one size.")
        lesions.append(case.lesion)
        organs.append(case.counted)
        log(f"{case.name}: {len(case.lesion)} slices, {int(case.lesion.any(axis=(1, 2)).sum())} with a lesion")
        for method, run in methods_of(case, model, settings, results):
            started = time.perf_counter()
            scores[method].append(run().astype(np.float32))
            seconds[method] += time.perf_counter() - started
    lesion, organ = np.concatenate(lesions), np.concatenate(organs)
    _check_both_are_there(lesion, organ)
    lines, rows = [], []
    for group, counted in ((WHOLE, np.ones(lesion.shape, bool)), (ORGAN, organ)):
        for method, parts in scores.items():
            values = detection_quality(np.concatenate(parts), lesion, counted)
            lines.append(ReportRow(group, method, values))
            named = dict(zip(METRIC_NAMES, values, strict=True))
            rows.append({"counted": group, "method": method, **named, "seconds": seconds[method]})
    return Report(
        task="detect-anomalies",
        title=f"Anomaly detection in {len(lesion)} slices, {int(lesion.any(axis=(1, 2)).sum())} with a lesion",
        metrics=paper.DETECTION,
        lines=lines,
        paper_table="Table VI (BMAD liver, 1,493 slices)",
        paper=paper.TABLE_VI,
        notes=NOTES,
        facts={"settings": asdict(settings), "slices": len(lesion), "stacks": len(lesions)},
        cases=rows,
    )


def _check_both_are_there(lesion: np.ndarray, organ: np.ndarray) -> None:
    """InputError unless the organ shows both lesions and healthy tissue, without which there is no curve."""
    for what, seen in (("lesion", lesion & organ), ("healthy tissue", organ & ~lesion)):
        if not seen.any():
            raise InputError(
                f"There is no {what} in the organ of these slices, so nothing can be measured: give others."
            )
