"""Anomaly detection by the foundation model, without fine-tuning (paper, III-D2).

    x̃_0: the organ alone,   x̃_t = √ᾱ_t·x̃_0 + √(1 − ᾱ_t)·ε,   map = x̃_0 − x̃_0'   with x̃_0' predicted from x̃_t at once

The noise hides the anomaly, and what the model expects in its place is healthy. Our additions: the mean of x̃_0' over
several draws of ε, smoothing, a robust threshold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from ..anatomy.classes import BODY, BONE, GAS, LUNG, ORGANS, numbers_of
from ..anatomy.tissue import complete_labels, find_tissue
from ..diffusion.samplers import clip, predict_x0, randn_like
from ..diffusion.schedule import add_noise
from ..errors import InputError
from ..inference.noise_predictor import NoiseModel
from ..models.loading import Model, load_model
from ..parameters import DetectAnomaliesParameters
from ..progress import ProgressCallback, Reporter
from ..volumes.checks import check_ct
from ..volumes.intensity import to_hu, to_model
from ..volumes.volume import Volume
from .findings import Threshold, find_parts, find_threshold, table_of
from .pseudo_healthy import AERATED_HU, healthy_start, smooth_within
from .scan import Scan, anatomy_in_words, check_anatomy, find_anatomy, look_at
from .settings import settings_for


@dataclass(frozen=True)
class DetectAnomaliesSettings:
    """How it is computed. These are the paper's values; a model's config holds those that fit its weights.

    spacing_mm: the grid that is computed on, None for the scan's own. noise_level: t. draws: of noise, averaged.
    organ_alone: whether the organ's surroundings become air (the paper's masked image) or stay in view.
    organ_painted: whether an organ of one tissue is painted in its median before the noise (see `pseudo_healthy`).
    threshold_deviations: the automatic threshold, see `findings.find_threshold`.
    """

    spacing_mm: float | None = 1.0
    noise_level: int = 950
    draws: int = 1
    organ_alone: bool = True
    organ_painted: bool = False
    threshold_deviations: float = 3.5
    overlap: float = 0.25


@dataclass(frozen=True)
class DetectAnomaliesResult:
    """The map (HU, float32: image − expected, 0 outside the organ) and the mask (uint8, 1 in findings) on the input's
    grid, the findings as rows of a table (see `findings.table_of`), and facts.
    """

    map: Volume
    mask: Volume
    findings: list[dict]
    facts: dict

    def outputs(self) -> dict:
        return {"output_map": [self.map], "mask": [self.mask], "findings": self.findings}

    def summary(self) -> str:
        number = len(self.findings)
        what = f"{number} finding{'s' * (number != 1)} in {self.facts['organ']}"
        largest = f", first {self.findings[0]['volume_ml']:g} ml" if number else ""
        return f"{what}{largest} (threshold {self.facts['threshold_hu']:.1f} HU, {self.facts['region']})"


def detect_anomalies(
    volume: Volume,
    model: Model | None = None,
    anatomy: Volume | str = "auto",
    progress: ProgressCallback | None = None,
    **parameters,
) -> DetectAnomaliesResult:
    """Find where an organ does not look as the model expects.

    volume: HU on any grid. anatomy: a label map (0–121) on the same grid, "totalsegmentator" to run it, or "auto" or
    "threshold" for body, lungs, bones and gas; with "none" the organ is found as with "auto" but the model is not
    told. parameters: those of `DetectAnomaliesParameters`. HU count to the ends of the region's window: what lies
    beyond is as if at its end. InputError for an unknown organ, or one that is not in the anatomy; what `progress`
    raises passes through.
    """
    wanted = DetectAnomaliesParameters.from_dict(parameters)
    check_ct(volume)
    check_anatomy(anatomy, volume)
    classes_of(wanted.organ, anatomy)
    model = model or load_model()
    reporter = Reporter(progress)
    anatomy = find_anatomy(anatomy, volume, reporter, model.device)
    ready = _prepared(volume, wanted, model, anatomy, reporter)
    scan, settings, organ, organ_here = ready.scan, ready.settings, ready.organ, ready.organ_here
    expected = _expected(ready, wanted.seed, reporter)
    deviation = _deviation(scan, expected, organ, organ_here, wanted)

    signed, voxel_ml = wanted.deviation == "signed", float(np.prod(volume.spacing)) / 1000
    threshold = find_threshold(deviation[organ_here], wanted.threshold, settings.threshold_deviations, signed)
    parts = find_parts(deviation, organ_here, threshold, wanted.min_volume, voxel_ml)
    findings = table_of(deviation, parts, threshold, volume, lambda where: _organ_at(where, anatomy, wanted.organ))
    facts = {
        "organ": wanted.organ,
        "organ_ml": round(int(organ_here.sum()) * voxel_ml, 2),
        "anatomy": anatomy_in_words(anatomy),
        "findings": len(findings),
        **_facts(ready, threshold),
    }
    mask = volume.with_voxels((parts > 0).astype(np.uint8))
    return DetectAnomaliesResult(volume.with_voxels(deviation), mask, findings, facts)


def look(
    volume: Volume,
    model: Model | None = None,
    anatomy: Volume | str = "auto",
    progress: ProgressCallback | None = None,
    **parameters,
) -> dict:
    """What `detect_anomalies` with these arguments would do, without doing it: `region`, `organ_ml`,
    `network_evaluations`, and `seconds_each`, measured on one window; of an organ that only "totalsegmentator" would
    find, the region alone. Errors as of `detect_anomalies`.
    """
    wanted = DetectAnomaliesParameters.from_dict(parameters)
    check_ct(volume)
    check_anatomy(anatomy, volume)
    classes_of(wanted.organ, anatomy)
    model, reporter = model or load_model(), Reporter(progress)
    if anatomy == "totalsegmentator":
        return {"region": look_at(volume, wanted.region, reporter).region.name}
    ready = _prepared(volume, wanted, model, anatomy, reporter)
    x = torch.from_numpy(ready.scan.x).to(model.device)
    return {
        "region": ready.scan.region.name,
        "organ_ml": round(int(ready.organ_here.sum()) * float(np.prod(volume.spacing)) / 1000, 2),
        "network_evaluations": ready.settings.draws * len(ready.ε.active),
        "seconds_each": ready.ε.seconds_of_a_window(x, ready.settings.noise_level) if ready.ε.active else None,
    }


@dataclass(frozen=True)
class _Ready:
    """A scan, the organ on its grid and on the input's (bool), ε of the windows that meet it, and what the organ is
    painted as before the noise (None: the scan itself).
    """

    scan: Scan
    settings: DetectAnomaliesSettings
    organ: np.ndarray
    organ_here: np.ndarray
    ε: NoiseModel
    painted: np.ndarray | None


def _prepared(
    volume: Volume, wanted: DetectAnomaliesParameters, model: Model, anatomy: Volume | str, reporter: Reporter
) -> _Ready:
    """All that comes before the noise."""
    settings, classes = _settings(model, wanted), classes_of(wanted.organ, anatomy)
    scan = look_at(volume, wanted.region, reporter, settings.spacing_mm)
    given = scan.frame.labels(anatomy) if isinstance(anatomy, Volume) else None
    labels = complete_labels(given, find_tissue(scan.frame.hu, scan.frame.spacing, scan.body))
    reporter.tick()
    organ = np.isin(labels, classes)
    organ_here = _on_input_grid(scan, organ, classes, anatomy)
    if not organ.any() or not organ_here.any():
        raise InputError(f"There is no {wanted.organ} in the anatomy of this CT: name another organ with --organ.")
    if wanted.region == "auto":
        scan = _at_the_organ(scan, organ, labels)
    ε = _noise_model(model, scan, labels, organ, anatomy, settings, reporter)
    aerated = float(to_model(AERATED_HU, scan.window)) if set(classes) <= set(numbers_of("lungs")) else None
    painted = healthy_start(scan.x, organ, scan.frame.spacing, aerated) if settings.organ_painted else None
    return _Ready(scan, settings, organ, organ_here, ε, painted)


def _at_the_organ(scan: Scan, organ: np.ndarray, labels: np.ndarray) -> Scan:
    """A whole-body scan with the region of the part that holds most of the organ."""
    part = max(scan.parts(labels), key=lambda part: int(organ[part.z].sum()))
    return replace(scan, region=part.region, window=part.region.window)


def classes_of(organ: str, anatomy: Volume | str) -> tuple[int, ...]:
    """The labels of an organ or group. InputError if there is no such organ, or only a label map could show it."""
    classes = numbers_of(organ)
    known = isinstance(anatomy, Volume) or anatomy == "totalsegmentator"
    if not known and not {BODY, LUNG, BONE, GAS} & set(classes):
        raise InputError(
            f"The {organ} cannot be found by threshold: give a label map with --anatomy FILE, use --anatomy "
            "totalsegmentator if it is installed, or look at --organ body, lungs or bones."
        )
    return classes


def _organ_at(where: tuple, anatomy: Volume | str, asked: str) -> str:
    """The organ that most voxels of a finding lie in, if a label map tells; else the one that was looked at."""
    label = int(np.bincount(anatomy.voxels[where]).argmax()) if isinstance(anatomy, Volume) else 0
    return ORGANS[label] if 0 < label < BODY else asked


def _settings(model: Model, wanted: DetectAnomaliesParameters) -> DetectAnomaliesSettings:
    """The paper's settings, the model's over them, and what was asked for over those."""
    settings = settings_for(model, "detect-anomalies", DetectAnomaliesSettings(), overlap=wanted.overlap)
    asked = {"noise_level": wanted.noise_level, "draws": wanted.draws}
    return replace(settings, **{name: value for name, value in asked.items() if value is not None})


def _on_input_grid(scan: Scan, organ: np.ndarray, classes: tuple[int, ...], anatomy: Volume | str) -> np.ndarray:
    """The organ on the input's grid, bool: a given label map's own voxels, and what was found where it says nothing."""
    found = scan.frame.restore(organ, outside=0) > 0.5
    if not isinstance(anatomy, Volume):
        return found
    return np.where(anatomy.voxels > 0, np.isin(anatomy.voxels, classes), found)


def _noise_model(
    model: Model,
    scan: Scan,
    labels: np.ndarray,
    organ: np.ndarray,
    anatomy: Volume | str,
    settings: DetectAnomaliesSettings,
    reporter: Reporter,
) -> NoiseModel:
    """ε of the windows that meet the organ. What became air is background for the conditions too."""
    told = labels if anatomy != "none" else np.zeros_like(labels)
    if settings.organ_alone:
        told = np.where(organ, told, np.uint8(0))
    conditions = replace(scan.conditions(model, "none"), labels=told)
    return NoiseModel(model, conditions, organ, scan.air, settings.overlap, on_window=reporter.window)


@torch.inference_mode()
def _expected(ready: _Ready, seed: int, reporter: Reporter) -> np.ndarray:
    """x̃_0' in HU on the frame's grid, the mean over the draws."""
    scan, settings, ε, t = ready.scan, ready.settings, ready.ε, ready.settings.noise_level
    schedule = ε.model.schedule
    x = scan.x if ready.painted is None else ready.painted
    masked = np.where(ready.organ, x, np.float32(scan.air)) if settings.organ_alone else x
    x0 = torch.from_numpy(masked).to(ε.model.device)
    generator = torch.Generator().manual_seed(seed)
    expected = torch.zeros_like(x0)
    reporter.begin(settings.draws, len(ε.active))
    for i in range(settings.draws):
        x_t = add_noise(x0, t, schedule, randn_like(x0, generator))
        estimate = clip(predict_x0(x_t, ε(x_t, t), float(schedule.alpha_bar[t])), t)
        expected += estimate / settings.draws
        reporter.step(i, t, estimate)
    return to_hu(expected.cpu().numpy(), scan.window)


def _deviation(
    scan: Scan, expected: np.ndarray, organ: np.ndarray, organ_here: np.ndarray, wanted: DetectAnomaliesParameters
) -> np.ndarray:
    """The map: the input's own voxels, to the window's ends, less what was expected there; 0 outside the organ. HU,
    float32, on the input's grid. `organ` is on the frame's, `organ_here` on the input's.
    """
    source = scan.frame.source
    if scan.frame.resampled:
        expected = _beyond_the_border(expected, organ, scan.frame.spacing)
    seen = np.clip(source.voxels.astype(np.float32), *scan.window)
    difference = np.where(organ_here, seen - scan.frame.restore(expected), np.float32(0))
    smooth = smooth_within(difference, organ_here, wanted.smoothing, source.spacing[::-1])
    return np.where(organ_here, np.abs(smooth) if wanted.deviation == "absolute" else smooth, np.float32(0))


def _beyond_the_border(expected: np.ndarray, organ: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The organ's expected HU carried on around it, so that on another grid no border voxel is mixed with air."""
    return np.where(organ, expected, smooth_within(np.where(organ, expected, 0), organ, max(spacing), spacing))


def _facts(ready: _Ready, threshold: Threshold) -> dict:
    """What was found and computed, for the provenance."""
    scan, settings, ε = ready.scan, ready.settings, ready.ε
    return {
        "region": scan.region.name,
        "window_hu": list(scan.window),
        "grid": "own" if settings.spacing_mm is None else f"{settings.spacing_mm} mm",
        "surroundings": "air" if settings.organ_alone else "kept",
        "noised": "scan" if ready.painted is None else "scan, the organ painted in its median",
        "timestep": settings.noise_level,
        "draws": settings.draws,
        "threshold_hu": round(threshold.limit, 2),
        "threshold_counts_from_hu": round(threshold.centre, 2),
        "windows": len(ε.active),
        "windows_left_out": len(ε.skipped),
        "network_evaluations": settings.draws * len(ε.active),
    }
