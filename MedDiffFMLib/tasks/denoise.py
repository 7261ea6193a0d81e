"""Denoising of low-dose CT: by the foundation model (paper, III-D1), with the help of non-local means.

[paper eq. 7 to 11]

y_0 = x_0 + n,   t_start: σ̄_t = σ_n,   x_start = √ᾱ_start·y_0,   then DiffPIR with the data step of paper eq. 10; see
`denoise_region` for what is beyond the paper.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from ..anatomy.body_regions import BodyPart, join_parts, whole_scan
from ..errors import InputError
from ..models.components import REFINERS
from ..models.loading import Model, load_model
from ..models.refiner_folder import load_refiner
from ..networks.refiner import Refiner
from ..parameters import DenoiseParameters
from ..progress import ProgressCallback, Reporter
from ..refinement.low_dose import LOW_DOSE, NLM_SHARE, Noisy
from ..volumes.checks import check_ct
from ..volumes.noise_level import estimate_noise
from ..volumes.volume import Volume, as_input_type
from .denoise_region import QUALITIES, DenoiseSettings, Run, merge
from .scan import Scan, anatomy_in_words, anatomy_labels, check_anatomy, find_anatomy, look_at
from .settings import settings_for


@dataclass(frozen=True)
class DenoiseResult:
    """The denoised volume (the input's grid and type), the noise assumed, found before and left after, in HU,
    and facts.
    """

    volume: Volume
    sigma_hu: float
    noise_before_hu: float | None
    noise_after_hu: float | None
    facts: dict

    def outputs(self) -> dict:
        return {"output": [self.volume]}

    def summary(self) -> str:
        before, after = _in_words(self.noise_before_hu), _in_words(self.noise_after_hu)
        return f"Noise {before} → {after} (σ {_in_words(self.sigma_hu)}, {self.facts['region']})"


def _in_words(hu: float | None) -> str:
    return "not measurable" if hu is None else f"{hu:.1f} HU"


def denoise(
    volume: Volume,
    model: Model | None = None,
    anatomy: Volume | str = "auto",
    progress: ProgressCallback | None = None,
    **parameters,
) -> DenoiseResult:
    """Remove the noise of a low-dose CT.

    volume: HU on any grid. anatomy: a label map (0–121) on the same grid, or a word (see `scan.anatomy_labels`): "auto"
    is the body by threshold. parameters: those of `DenoiseParameters` (sigma in HU, quality, region, steps, seed).
    With region "auto", a scan of several regions is computed part by part, each with its own region and HU window, and
    joined without a seam. Outside the body, and beyond the model's HU window, the input's HU are kept, and no voxel
    changes by more than 4 σ. InputError when σ is to be found and there is too little soft tissue for it; what
    `progress` raises passes through, and then nothing is left behind.
    """
    wanted = DenoiseParameters.from_dict(parameters)
    check_ct(volume)
    check_anatomy(anatomy, volume)
    model = model or load_model()
    reporter = Reporter(progress)
    anatomy = find_anatomy(anatomy, volume, reporter, model.device)
    ready = _prepared(volume, wanted, model, anatomy, reporter)
    scan, runs, sigma_hu, found = ready.scan, ready.runs, ready.sigma_hu, ready.noise_hu
    hu = _denoised(scan, runs, sigma_hu, wanted.seed, reporter)
    after = estimate_noise(hu, scan.body, scan.frame.spacing)
    restored = volume.with_voxels(as_input_type(_on_input_grid(scan, runs, hu, sigma_hu), like=volume))
    noise = {"sigma_hu": sigma_hu, "noise_before_hu": found, "noise_after_hu": after}
    facts = {**noise, "anatomy": anatomy_in_words(anatomy), **_facts(scan, ready.settings, runs)}
    return DenoiseResult(restored, sigma_hu, found, after, facts)


def look(
    volume: Volume,
    model: Model | None = None,
    anatomy: Volume | str = "auto",
    progress: ProgressCallback | None = None,
    **parameters,
) -> dict:
    """What `denoise` with these arguments would find and do, without doing it: `noise_hu` (None if it cannot be
    measured), `region`, `network_evaluations`, `seconds_each`, measured on one window, and `seconds`, of all, what
    helps the model included. Errors as of `denoise`.
    """
    wanted = DenoiseParameters.from_dict(parameters)
    check_ct(volume)
    check_anatomy(anatomy, volume)
    model, reporter = model or load_model(), Reporter(progress)
    ready = _prepared(volume, wanted, model, "auto" if anatomy == "totalsegmentator" else anatomy, reporter, guess=30.0)
    facts = _facts(ready.scan, ready.settings, ready.runs)
    found = {key: facts[key] for key in ("region", "network_evaluations")}
    each = _seconds_each(ready.runs)
    seconds = each and each * sum(sum(run.costs) for run in ready.runs)
    return {"noise_hu": ready.noise_hu, **found, "seconds_each": each, "seconds": seconds}


def _seconds_each(runs: list[Run]) -> float | None:
    """The time of one network evaluation, measured; None if there is nothing but air."""
    for run in runs:
        if run.ε.active:
            return run.ε.seconds_of_a_window(torch.from_numpy(run.scan.x).to(run.ε.model.device), run.steps[0])
    return None


@dataclass(frozen=True)
class _Ready:
    """A scan and what is to be done with it. noise_hu: as found; sigma_hu: as assumed."""

    scan: Scan
    settings: DenoiseSettings
    noise_hu: float | None
    sigma_hu: float
    runs: list[Run]


def _prepared(
    volume: Volume,
    wanted: DenoiseParameters,
    model: Model,
    anatomy: Volume | str,
    reporter: Reporter,
    guess: float | None = None,
) -> _Ready:
    """All that comes before the sampling. guess: σ in HU where it shall be found and cannot be, else InputError."""
    refiner, settings = _how(model, wanted)
    scan = look_at(volume, wanted.region, reporter, settings.spacing_mm, settings.windows_hu)
    labels = anatomy_labels(scan, anatomy)
    found = estimate_noise(scan.frame.hu, scan.body, scan.frame.spacing)
    reporter.tick()
    sigma_hu = guess if guess and found is None and wanted.sigma == "auto" else _sigma(wanted.sigma, found)
    parts = scan.parts(labels) if wanted.region == "auto" else [whole_scan(scan.region, len(scan.body))]
    runs = [
        Run.of(
            scan.part(part, settings.windows_hu),
            part,
            labels[part.z],
            model,
            refiner,
            settings,
            sigma_hu,
            wanted.steps,
            reporter,
        )
        for part in parts
    ]
    return _Ready(scan, settings, found, sigma_hu, runs)


def _how(model: Model, wanted: DenoiseParameters) -> tuple[Refiner | None, DenoiseSettings]:
    """The model's refiner where it has one, and the settings: neither it nor non-local means helps the paper's quality
    or the foundation model alone.
    """
    settings = settings_for(model, "denoise", QUALITIES[wanted.quality], wanted.quality, wanted.overlap)
    if wanted.alone:
        settings = replace(settings, nlm_share=0.0)
    helped = settings.nlm_share > 0 and LOW_DOSE.kind in REFINERS.names(model.folder)
    return (load_refiner(model, LOW_DOSE.kind) if helped else None), settings


def both_estimates(volume: Volume, model: Model, sigma_hu: float, region: str) -> tuple[Scan, Noisy]:
    """A scan of one region and, on its own grid, what a refiner is told of it: `train refine` makes its pairs so."""
    wanted = DenoiseParameters(sigma=sigma_hu, region=region, quality="fast")
    ready = _prepared(volume, wanted, model, "auto", reporter := Reporter(None))
    return ready.scan, ready.runs[0].both(reporter)


def _on_input_grid(scan: Scan, runs: list[Run], hu: np.ndarray, sigma_hu: float) -> np.ndarray:
    """The merged result on the input's grid. From another grid only the change comes back, so that interpolation blurs
    nothing, and what `merge` promises holds for the input's own voxels.
    """
    frame = scan.frame
    if not frame.resampled:
        return frame.restore(hu)
    source = frame.source.voxels.astype(np.float32)
    inside = frame.restore(scan.body, outside=0) > 0.5
    change = frame.restore(hu - frame.hu, outside=0)
    return merge(source, source + change, inside, _window_on_input_grid(scan, runs), sigma_hu)


def _window_on_input_grid(scan: Scan, runs: list[Run]) -> tuple:
    """The window (low, high): numbers, or where parts have windows of their own, maps that pass from one to the
    next.
    """
    if len({run.scan.window for run in runs}) == 1:
        return runs[0].scan.window
    parts, windows = [run.part for run in runs], {run.part.start: run.scan.window for run in runs}
    constant = lambda end: lambda part: np.full((1, 1, 1), windows[part.start][end], np.float32)  # noqa: E731
    return tuple(scan.frame.restore(join_parts(parts, scan.body.shape, constant(end))) for end in (0, 1))


def _facts(scan: Scan, settings: DenoiseSettings, runs: list[Run]) -> dict:
    """What was found and computed, for the provenance; by part if there are several, from the feet up."""
    by_part = [
        {
            "region": run.scan.region.name,
            "window_hu": list(run.scan.window),
            "timesteps": run.steps,
            "windows": len(run.ε.active),
            "windows_of_air": len(run.ε.skipped),
            "network_evaluations": len(run.steps) * len(run.ε.active),
        }
        for run in runs
    ]
    grid = {
        "grid": "own" if settings.spacing_mm is None else f"{settings.spacing_mm} mm",
        "non_local_means": NLM_SHARE if runs[0].refiner else settings.nlm_share,
        "refiner": LOW_DOSE.kind if runs[0].refiner else "none",
    }
    if len(runs) == 1:
        return by_part[0] | grid
    for facts, run in zip(by_part, runs, strict=True):
        facts["mm_superior"] = list(scan.span_mm(run.part))
    counts = {key: sum(facts[key] for facts in by_part) for key in ("windows", "windows_of_air", "network_evaluations")}
    return {"region": " + ".join(facts["region"] for facts in by_part)} | grid | counts | {"parts": by_part}


def _sigma(sigma: str | float, found: float | None) -> float:
    if sigma != "auto":
        return float(sigma)
    if found is None:
        raise InputError("The noise cannot be measured, there is too little even soft tissue: give it with --sigma HU.")
    return max(found, 1.0)


def _denoised(scan: Scan, runs: list[Run], sigma_hu: float, seed: int, reporter: Reporter) -> np.ndarray:
    """All parts sampled and merged with the scan, joined without a seam: HU, float32 (Z, Y, X)."""
    costs = [cost for run in runs for cost in run.costs]
    reporter.begin(len(costs), costs[0], costs)
    of_part = {run.part.start: run for run in runs}
    done = 0

    def run_part(part: BodyPart) -> np.ndarray:
        nonlocal done
        run = of_part[part.start]
        reporter.show = run.scan.as_volume
        estimate = run.estimate(seed, reporter, before=done)
        done += len(run.costs)
        return merge(run.scan.frame.hu, estimate, run.scan.body, run.scan.window, sigma_hu)

    return join_parts([run.part for run in runs], scan.body.shape, run_part)
