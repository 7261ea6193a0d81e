"""Denoising of low-dose CT by the foundation model (paper, III-D1) and non-local means.

[paper eq. 7 to 11]

y_0 = x_0 + n,   t_start: σ̄_t = σ_n,   x_start = √ᾱ_start·y_0,   then DiffPIR with the data step of paper eq. 10; see
`denoise_region` for what is beyond the paper.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..anatomy.body_regions import RegionBlender, whole_scan
from ..errors import InputError
from ..inference.noise_predictor import NoisePredictor
from ..models.loading import Model, load_model
from ..models.restorer_folder import LOW_DOSE as RESTORER
from ..parameters import DenoiseParameters
from ..parameters.denoise import STRENGTHS
from ..progress import ProgressCallback, Reporter
from ..refinement.low_dose import LOW_DOSE, NLM_SHARE, LowDoseInputs
from ..volumes.checks import ensure_ct
from ..volumes.noise_level import estimate_noise
from ..volumes.volume import Volume, cast_like
from .denoise_numbers import DenoiseNumbers, denoise_numbers
from .denoise_region import DenoiseSettings, RegionDenoiser, merge
from .denoise_restorer import MIRRORED, ScanRestorer, restorer_for
from .denoise_settings import denoise_refiner, denoise_settings
from .facts import DenoiseFacts
from .known_anatomy import KnownAnatomy, check_anatomy, resolve_anatomy
from .scan import Scan, analyze_scan
from .strength import mix, scaled, summary
from .uncertainty import Uncertainty, check_orientations
from .unlike_training import training_warnings

GUESSED_HU = 30.0  # σ in an estimate, where it cannot be measured


@dataclass(frozen=True)
class DenoiseResult:
    """The denoised volume (the input's grid and type), the noise assumed, found before and left after, in HU,
    facts, the uncertainty in HU, if it was asked for, and sentences on what the model was never trained on.
    """

    volume: Volume
    sigma_hu: float
    noise_before_hu: float | None
    noise_after_hu: float | None
    facts: DenoiseFacts
    uncertainty: Volume | None = None
    warnings: tuple[str, ...] = ()

    def outputs(self) -> dict:
        return {"output": [self.volume]} | ({"uncertainty": [self.uncertainty]} if self.uncertainty else {})

    def summary(self) -> str:
        return summary(self.facts.to_dict())


def denoise(
    volume: Volume,
    model: Model | None = None,
    anatomy: Volume | str = "auto",
    progress: ProgressCallback | None = None,
    uncertainty: bool = False,
    **parameters,
) -> DenoiseResult:
    """Remove the noise of a low-dose CT.

    volume: HU on any grid. anatomy: a label map (0–121) on the same grid, or a word (see `KnownAnatomy`): "auto" is
    the body by threshold. parameters: those of `DenoiseParameters` (sigma in HU, quality, strength, region, seed).
    With region "auto", a scan of several regions is computed part by part, each with its own region and HU window, and
    joined without a seam. Outside the body, and beyond the model's HU window, the input's HU are kept, and no voxel
    changes by more than 4 σ; with quality `paper` the model has the last word within the window. The result is a mix
    of all that with the input, by `strength` (see `tasks.strength`). uncertainty: whether the result has the spread
    over orientations too, times the strength (see `tasks.uncertainty`). InputError when σ is to be found and there is
    too little soft tissue for it, or where there is no spread; what `progress` raises passes through, and then nothing
    is left behind.
    """
    params = DenoiseParameters.from_dict(parameters)
    params.check_outputs(["uncertainty"] if uncertainty else [])
    return plan(volume, params, model, anatomy, Reporter(progress)).run(uncertainty)


def look(
    volume: Volume,
    model: Model | None = None,
    anatomy: Volume | str = "auto",
    progress: ProgressCallback | None = None,
    **parameters,
) -> dict:
    """An estimate of `denoise` with these arguments, without running it: `noise_hu` (None if it cannot be measured),
    `region`, `network_evaluations`, `seconds_each`, measured on one tile, and `seconds` for all of it, non-local means
    and refiner included. Errors as of `denoise`.
    """
    params = DenoiseParameters.from_dict(parameters)
    return plan(volume, params, model, anatomy, Reporter(progress), for_estimate=True).estimate()


def plan(
    volume: Volume,
    params: DenoiseParameters,
    model: Model | None,
    anatomy: Volume | str,
    reporter: Reporter,
    for_estimate: bool = False,
) -> DenoisePlan:
    """The denoising of a CT, ready to run. Arguments and errors as of `denoise`.

    for_estimate: TotalSegmentator does not run, and where σ cannot be measured it is taken for 30 HU.
    """
    volume = ensure_ct(volume)
    check_anatomy(anatomy, volume)
    model = model or load_model()
    restorer, settings = restorer_for(model, params), denoise_settings(model, params)
    if restorer:  # it needs neither organs nor windows, and works on the scan's own grid
        anatomy, settings = "none", replace(settings, spacing_mm=None)
    known = resolve_anatomy(anatomy, volume, reporter, model.device, for_estimate)
    scan = analyze_scan(volume, params.region, reporter, settings.spacing_mm, settings.windows_hu)
    noise_hu = estimate_noise(scan.frame.hu, scan.body, scan.frame.spacing)
    reporter.heartbeat()
    sigma_hu = _sigma(params.sigma, GUESSED_HU if for_estimate and noise_hu is None else noise_hu)
    if restorer:
        regions = [ScanRestorer(scan, model, restorer, sigma_hu, MIRRORED[params.quality])]
    else:
        regions = _diffusion(scan, model, settings, params, known, sigma_hu, reporter)
    return DenoisePlan(scan, known, settings, params, noise_hu, sigma_hu, regions, reporter, model.name)


def _diffusion(
    scan: Scan,
    model: Model,
    settings: DenoiseSettings,
    params: DenoiseParameters,
    known: KnownAnatomy,
    sigma_hu: float,
    reporter: Reporter,
) -> list[RegionDenoiser]:
    """The regions of a scan, ready to be denoised by the foundation model and what refines its estimate."""
    labels, refiner, regions = known.labels(scan), denoise_refiner(model, settings), []
    spans = scan.regions(labels) if params.region == "auto" else [whole_scan(scan.region, len(scan.body))]
    for span in spans:
        part = scan.part(span, settings.windows_hu)
        conditions = part.conditions(model, labels[span.z])
        eps = NoisePredictor(model, conditions, part.body, part.air, settings.tiling, on_tile=reporter.part)
        regions.append(RegionDenoiser(span, part, eps, sigma_hu, settings, refiner))
    return regions


@dataclass(frozen=True)
class DenoisePlan:
    """A CT and its regions, ready to be denoised. noise_hu: as measured, None if it cannot be; sigma_hu: as assumed."""

    scan: Scan
    anatomy: KnownAnatomy
    settings: DenoiseSettings
    params: DenoiseParameters
    noise_hu: float | None
    sigma_hu: float
    regions: list[RegionDenoiser] | list[ScanRestorer]
    reporter: Reporter
    model_name: str

    def estimate(self) -> dict:
        """Noise, region and costs, as `look` returns them."""
        facts, seconds_each = self._facts(DenoiseNumbers({}, {}, {})), self._seconds_each()
        return {
            "noise_hu": self.noise_hu,
            "region": facts.region,
            "network_evaluations": facts.network_evaluations,
            "seconds_each": seconds_each,
            "seconds": seconds_each and seconds_each * sum(sum(one.costs) for one in self.regions),
        }

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What is unlike the training data of the refiner or restorer, see `training_warnings`."""
        trained = self.regions[0].trained
        names = {one.scan.region.name for one in self.regions}
        return training_warnings(self.scan, names, self.sigma_hu, self.noise_hu, trained) if trained else ()

    def run(self, uncertainty: bool = False) -> DenoiseResult:
        """All regions sampled, merged with the scan, and joined without a seam. InputError if σ was only guessed, or if
        there is no uncertainty.
        """
        _sigma(self.params.sigma, self.noise_hu)
        apart = self._uncertainty() if uncertainty else None
        costs = [cost for one in self.regions for cost in one.costs]
        self.reporter.begin(len(costs), costs[0], costs)
        whole, done = RegionBlender(self.scan.body.shape), 0
        for one in self.regions:
            self.reporter.make_preview = one.scan.as_volume
            spread = np.zeros(one.scan.body.shape, np.float32) if apart else None
            estimate = one.estimate(self.params.seed, self.reporter, done, spread)
            done += len(one.costs)
            merged = one.merge_with_input(estimate)
            whole.add(one.span, merged)
            if apart:
                apart.add(one.span, spread, kept=merged == one.scan.frame.hu)
        return self._result(whole.values, apart)

    def _uncertainty(self) -> Uncertainty:
        """The uncertainty, still to be filled. InputError if a region is computed in one orientation only."""
        orientations = min(one.orientations for one in self.regions)
        check_orientations(orientations, self.model_name)
        return Uncertainty(self.scan.body.shape, orientations)

    def _result(self, merged: np.ndarray, apart: Uncertainty | None) -> DenoiseResult:
        """The result of all regions in HU on the scan's frame, at the strength of the run."""
        source, strength = self.scan.frame.source, self.params.strength_percent
        full = cast_like(self._on_input_grid(merged), like=source)
        facts = self._facts(self._numbers(merged))
        restored = source.with_voxels(mix(source.voxels, full, strength))
        spread = None
        if apart:
            spread = apart.on(lambda hu: source.with_voxels(self.scan.frame.restore(hu, outside=0)))
            facts = replace(facts, uncertainty=apart.facts(spread))
            spread = spread.with_voxels(scaled(spread.voxels, strength))
        noises = (self.sigma_hu, self.noise_hu, facts.noise_after_hu)
        return DenoiseResult(restored, *noises, facts, spread, self.warnings)

    def _numbers(self, full: np.ndarray) -> DenoiseNumbers:
        """Noise, grain and change of HU at the run's strength and at those with a name."""
        strengths = sorted({*STRENGTHS.values(), self.params.strength_percent} - {0.0})
        hu, body, spacing = self.scan.frame.hu, self.scan.body, self.scan.frame.spacing
        return denoise_numbers(hu, full, body, spacing, strengths, self.noise_hu)

    def _seconds_each(self) -> float | None:
        """The time of a unit of `costs`, measured; None if there is nothing but air."""
        return next((seconds for one in self.regions if (seconds := one.seconds_each) is not None), None)

    def _on_input_grid(self, hu: np.ndarray) -> np.ndarray:
        """The merged result on the input's grid. From another grid only the change comes back, so that interpolation
        blurs nothing, and what `merge` promises holds for the input's own voxels.
        """
        frame = self.scan.frame
        if not frame.resampled:
            return frame.restore(hu)
        source = frame.source.voxels.astype(np.float32)
        change = frame.restore(hu - frame.hu, outside=0)
        if not self.settings.guarded:
            return source + change
        inside = frame.restore(self.scan.body, outside=0) > 0.5
        return merge(source, source + change, inside, self._window_on_input_grid(), self.sigma_hu)

    def _window_on_input_grid(self) -> tuple:
        """The window (low, high): numbers, or where regions have windows of their own, maps that pass from one to the
        next.
        """
        if len({one.scan.window for one in self.regions}) == 1:
            return self.regions[0].scan.window
        ends = (RegionBlender(self.scan.body.shape), RegionBlender(self.scan.body.shape))
        for one in self.regions:
            for end, hu in zip(ends, one.scan.window, strict=True):
                end.add(one.span, np.full((1, 1, 1), hu, np.float32))
        return tuple(self.scan.frame.restore(end.values) for end in ends)

    def _facts(self, numbers: DenoiseNumbers) -> DenoiseFacts:
        strength = self.params.strength_percent
        first, spacing_mm = self.regions[0], self.settings.spacing_mm
        restored = isinstance(first, ScanRestorer)
        refined = not restored and first.refiner is not None
        return DenoiseFacts(
            sigma_hu=self.sigma_hu,
            noise_before_hu=self.noise_hu,
            noise_after_hu=numbers.noise_hu.get(f"{strength:g}"),
            strength_percent=strength,
            noise_by_strength_hu=numbers.noise_hu,
            grain_by_strength_per_mm=numbers.grain_per_mm,
            full_change_hu=numbers.change_hu,
            anatomy=str(self.anatomy),
            grid="own" if spacing_mm is None else f"{spacing_mm} mm",
            non_local_means=0.0 if restored else NLM_SHARE if refined else self.settings.nlm_share,
            refiner=LOW_DOSE.kind if refined else "none",
            restorer=RESTORER if restored else "none",
            regions=[one.facts(self.scan.span_mm(one.span)) for one in self.regions],
        )


def _sigma(sigma: str | float, found: float | None) -> float:
    if sigma != "auto":
        return float(sigma)
    if found is None:
        raise InputError("The noise cannot be measured, there is too little even soft tissue: give it with --sigma HU.")
    return max(found, 1.0)


def refiner_training_sample(volume: Volume, model: Model, sigma_hu: float, region: str) -> tuple[Scan, LowDoseInputs]:
    """A scan of one region and the refiner's inputs for it, on its own grid, as `train refine` needs them."""
    params = DenoiseParameters(sigma=sigma_hu, region=region, quality="fast")
    denoising = plan(volume, params, model, "auto", Reporter(None))
    return denoising.scan, denoising.regions[0].refiner_inputs(denoising.reporter)
