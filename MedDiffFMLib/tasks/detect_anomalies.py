"""Anomaly detection by the foundation model, without fine-tuning (paper, III-D2).

    x̃_0: the organ alone,   x̃_t = √ᾱ_t·x̃_0 + √(1 − ᾱ_t)·ε,   map = x̃_0 − x̃_0'   with x̃_0' predicted from x̃_t at once

The noise hides the anomaly, and what the model expects in its place is healthy. Our additions: the mean of x̃_0' over
several draws of ε, smoothing, a robust threshold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from ..anatomy.classes import BODY, ORGANS, label_numbers
from ..anatomy.tissue import complete_labels, find_tissue
from ..diffusion.samplers import clip, predict_x0, randn_like
from ..diffusion.schedule import add_noise
from ..errors import InputError
from ..inference.noise_predictor import NoisePredictor
from ..models.loading import Model, load_model
from ..parameters import DetectAnomaliesParameters
from ..progress import ProgressCallback, Reporter
from ..volumes.checks import ensure_ct
from ..volumes.intensity import to_hu
from ..volumes.volume import Volume
from .facts import DetectAnomaliesFacts
from .findings import find_parts, find_threshold, table_of
from .known_anatomy import KnownAnatomy, check_anatomy, resolve_anatomy
from .organ_in_scan import at_the_organ, classes_of, organ_on_input_grid
from .pseudo_healthy import beyond_the_border, painted_in_median, smooth_within
from .scan import Scan, analyze_scan
from .settings import TiledSettings, settings_for
from .threshold import Threshold


@dataclass(frozen=True)
class DetectAnomaliesSettings(TiledSettings):
    """The settings of detection. The defaults are the paper's; a model's config holds those that fit its weights.

    spacing_mm: the grid that is computed on, None for the scan's own. noise_level: t. draws: of noise, averaged.
    organ_alone: whether the organ's surroundings become air (the paper's masked image) or stay in view.
    organ_painted: whether an organ of one tissue is painted in its median before the noise (see `pseudo_healthy`).
    threshold_deviations: the automatic threshold, see `findings.find_threshold`. smoothing_mm: of the map, where no
    other is asked for.
    """

    spacing_mm: float | None = 1.0
    noise_level: int = 950
    draws: int = 1
    organ_alone: bool = True
    organ_painted: bool = False
    threshold_deviations: float = 3.5
    smoothing_mm: float = 0.0


QUALITIES = {
    "balanced": DetectAnomaliesSettings(smoothing_mm=2.0, tile_weights="fade"),
    "paper": DetectAnomaliesSettings(),
}


@dataclass(frozen=True)
class DetectAnomaliesResult:
    """The map (HU, float32: image − expected, 0 outside the organ) and the mask (uint8, 1 in findings) on the input's
    grid, the findings as rows of a table (see `findings.table_of`), and facts.
    """

    map: Volume
    mask: Volume
    findings: list[dict]
    facts: DetectAnomaliesFacts

    def outputs(self) -> dict:
        return {"output_map": [self.map], "mask": [self.mask], "findings": self.findings}

    def summary(self) -> str:
        number = len(self.findings)
        what = f"{number} finding{'s' * (number != 1)} in {self.facts.organ}"
        largest = f", first {self.findings[0]['volume_ml']:g} ml" if number else ""
        return f"{what}{largest} (threshold {self.facts.threshold_hu:.1f} HU, {self.facts.region})"


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
    conditioned on it. parameters: those of `DetectAnomaliesParameters`. HU count to the ends of the region's window:
    what lies beyond is as if at its end. InputError for an unknown organ, or one that is not in the anatomy; what
    `progress` raises passes through.
    """
    params = DetectAnomaliesParameters.from_dict(parameters)
    return plan(volume, params, model, anatomy, Reporter(progress)).run()


def look(
    volume: Volume,
    model: Model | None = None,
    anatomy: Volume | str = "auto",
    progress: ProgressCallback | None = None,
    **parameters,
) -> dict:
    """An estimate of `detect_anomalies` with these arguments, without running it: `region`, `organ_ml`,
    `network_evaluations`, and `seconds_each`, measured on one tile; of an organ that only "totalsegmentator" would
    find, the region alone. Errors as of `detect_anomalies`.
    """
    params = DetectAnomaliesParameters.from_dict(parameters)
    return plan(volume, params, model, anatomy, Reporter(progress), for_estimate=True).estimate()


def plan(
    volume: Volume,
    params: DetectAnomaliesParameters,
    model: Model | None,
    anatomy: Volume | str,
    reporter: Reporter,
    for_estimate: bool = False,
) -> DetectAnomaliesPlan | RegionAlone:
    """The detection in a CT, ready to run. Arguments and errors as of `detect_anomalies`.

    for_estimate: TotalSegmentator does not run, and of an organ that only it would find the region alone is known.
    """
    volume = ensure_ct(volume)
    check_anatomy(anatomy, volume)
    classes = classes_of(params.organ, anatomy)
    model = model or load_model()
    if for_estimate and anatomy == "totalsegmentator":
        return RegionAlone(analyze_scan(volume, params.region, reporter).region.name)
    known = resolve_anatomy(anatomy, volume, reporter, model.device)
    settings = _settings(model, params)
    scan = analyze_scan(volume, params.region, reporter, settings.spacing_mm)
    given = None if known.organs is None else scan.frame.labels(known.organs)
    labels = complete_labels(given, find_tissue(scan.image))
    reporter.heartbeat()
    organ = np.isin(labels, classes)
    organ_on_input = organ_on_input_grid(scan, organ, classes, known)
    if not organ.any() or not organ_on_input.any():
        raise InputError(f"There is no {params.organ} in the anatomy of this CT: name another organ with --organ.")
    if params.region == "auto":
        scan = at_the_organ(scan, organ, labels)
    shown = labels if known.word != "none" else np.zeros_like(labels)
    shown = np.where(organ, shown, np.uint8(0)) if settings.organ_alone else shown  # what became air is background
    conditions = scan.conditions(model, shown)
    eps = NoisePredictor(model, conditions, organ, scan.air, settings.tiling, on_tile=reporter.part)
    aerated = set(classes) <= set(label_numbers("lungs"))
    start = painted_in_median(scan, organ, aerated) if settings.organ_painted else None
    return DetectAnomaliesPlan(scan, known, settings, params, organ, organ_on_input, eps, start, reporter)


@dataclass(frozen=True)
class RegionAlone:
    """The plan of a run whose organ TotalSegmentator is still to find: only the region is known."""

    region: str

    def estimate(self) -> dict:
        """The region, which is all that is known."""
        return {"region": self.region}


@dataclass(frozen=True)
class DetectAnomaliesPlan:
    """A CT and an organ in it, ready for detection.

    organ, organ_on_input: bool, on the scan's grid and on the input's; eps: the noise prediction in the tiles that
    meet it; start: what noise is added to in place of the scan, in the model's range (None: the scan itself).
    """

    scan: Scan
    anatomy: KnownAnatomy
    settings: DetectAnomaliesSettings
    params: DetectAnomaliesParameters
    organ: np.ndarray
    organ_on_input: np.ndarray
    eps: NoisePredictor
    start: np.ndarray | None
    reporter: Reporter

    @property
    def _voxel_ml(self) -> float:
        return float(np.prod(self.scan.frame.source.spacing)) / 1000

    @property
    def _organ_ml(self) -> float:
        return round(int(self.organ_on_input.sum()) * self._voxel_ml, 2)

    def estimate(self) -> dict:
        """Region, size of the organ and costs, as `look` returns them."""
        eps, x = self.eps, torch.from_numpy(self.scan.x).to(self.eps.model.device)
        return {
            "region": self.scan.region.name,
            "organ_ml": self._organ_ml,
            "network_evaluations": self.settings.draws * len(eps.active),
            "seconds_each": eps.seconds_of_a_tile(x, self.settings.noise_level) if eps.active else None,
        }

    def run(self) -> DetectAnomaliesResult:
        """The map of what differs from the expected organ, and the findings in it."""
        params, organ, source = self.params, self.organ_on_input, self.scan.frame.source
        deviation, signed = self._deviation(self._expected()), params.deviation == "signed"
        threshold = find_threshold(deviation[organ], params.threshold, self.settings.threshold_deviations, signed)
        parts = find_parts(deviation, organ, threshold, params.min_volume, self._voxel_ml)
        findings = table_of(deviation, parts, threshold, source, self._organ_at)
        mask = source.with_voxels((parts > 0).astype(np.uint8))
        facts = self._facts(threshold, len(findings))
        return DetectAnomaliesResult(source.with_voxels(deviation), mask, findings, facts)

    @torch.inference_mode()
    def _expected(self) -> np.ndarray:
        """x̃_0' in HU on the frame's grid, the mean over the draws."""
        scan, settings, eps, t = self.scan, self.settings, self.eps, self.settings.noise_level
        schedule = eps.model.schedule
        x = scan.x if self.start is None else self.start
        masked = np.where(self.organ, x, np.float32(scan.air)) if settings.organ_alone else x
        x0 = torch.from_numpy(masked).to(eps.model.device)
        generator = torch.Generator().manual_seed(self.params.seed)
        expected = torch.zeros_like(x0)
        self.reporter.begin(settings.draws, len(eps.active))
        for i in range(settings.draws):
            x_t = add_noise(x0, t, schedule, randn_like(x0, generator))
            estimate = clip(predict_x0(x_t, eps(x_t, t), float(schedule.alpha_bar[t])), t)
            expected += estimate / settings.draws
            self.reporter.step(i, t, estimate)
        return to_hu(expected.cpu().numpy(), scan.window)

    def _deviation(self, expected: np.ndarray) -> np.ndarray:
        """The map: the input's own voxels, to the window's ends, less what was expected there; 0 outside the organ. HU,
        float32, on the input's grid.
        """
        scan, organ, source = self.scan, self.organ_on_input, self.scan.frame.source
        if scan.frame.resampled:
            expected = beyond_the_border(expected, self.organ, scan.frame.spacing)
        seen = np.clip(source.voxels.astype(np.float32), *scan.window)
        difference = np.where(organ, seen - scan.frame.restore(expected), np.float32(0))
        smooth = smooth_within(difference, organ, self.settings.smoothing_mm, source.spacing[::-1])
        return np.where(organ, np.abs(smooth) if self.params.deviation == "absolute" else smooth, np.float32(0))

    def _organ_at(self, where: tuple) -> str:
        """The organ that holds most voxels of a finding, if a label map shows it; else the one that was examined."""
        organs = self.anatomy.organs
        label = 0 if organs is None else int(np.bincount(organs.voxels[where]).argmax())
        return ORGANS[label] if 0 < label < BODY else self.params.organ

    def _facts(self, threshold: Threshold, findings: int) -> DetectAnomaliesFacts:
        scan, settings, eps = self.scan, self.settings, self.eps
        return DetectAnomaliesFacts(
            organ=self.params.organ,
            organ_ml=self._organ_ml,
            anatomy=str(self.anatomy),
            findings=findings,
            region=scan.region.name,
            window_hu=list(scan.window),
            grid="own" if settings.spacing_mm is None else f"{settings.spacing_mm} mm",
            surroundings="air" if settings.organ_alone else "kept",
            noised="scan" if self.start is None else "scan, the organ painted in its median",
            timestep=settings.noise_level,
            draws=settings.draws,
            threshold_hu=round(threshold.limit, 2),
            threshold_counts_from_hu=round(threshold.center, 2),
            windows=len(eps.active),
            windows_left_out=len(eps.skipped),
            network_evaluations=settings.draws * len(eps.active),
        )


def _settings(model: Model, params: DetectAnomaliesParameters) -> DetectAnomaliesSettings:
    """The settings of a run: the quality's, overridden by the model's unless it is the paper's, and those by the
    parameters.
    """
    settings = QUALITIES[params.quality]
    if params.quality != "paper":
        settings = settings_for(model, "detect-anomalies", settings)
    asked = {"noise_level": params.noise_level, "draws": params.draws, "smoothing_mm": params.smoothing}
    asked["overlap"] = params.overlap
    return replace(settings, **{name: value for name, value in asked.items() if value is not None})
