"""Super-resolution across slices: thin slices whose means are the thick ones (paper, III-E1; paper eq. 12).

y_0 = H·x_0, H the block mean of `factor` slices;  x_start = √ᾱ·(y_0 interpolated) + √(1 − ᾱ)·z,  then DiffPIR with the
data step of paper eq. 12, the network told by a ControlNet what the thick slices show. A model that has a ControlNet
for a single evaluation (`one_step_slices`) uses that instead, and its refiner `thick-slices` after it, but for the
quality `paper`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..anatomy.body_regions import BodyPart, join_parts
from ..diffusion.data_steps import super_resolution_data_step
from ..diffusion.samplers import diffpir, randn_like
from ..diffusion.schedule import T_START, add_noise, uniform_steps
from ..diffusion.slice_operators import TOLD, block_mean, round_in_blocks, with_block_means
from ..errors import InputError
from ..inference.noise_predictor import NoiseModel
from ..models.controlnet_folder import control_names, load_control
from ..models.loading import Model, load_model
from ..networks.controlnet import Control
from ..networks.refiner import Refiner
from ..parameters import SuperResolveParameters
from ..parameters.super_resolve import THIN_MM
from ..progress import ProgressCallback, Reporter
from ..refinement.thick_slices import THICK_SLICES
from ..volumes.checks import check_ct
from ..volumes.intensity import to_hu
from ..volumes.volume import Volume
from .by_region import run_each
from .one_step_slices import DIRECT, cost_of_refining, is_direct, refined, restore_directly, thick_slices_refiner
from .scan import Scan, anatomy_in_words, anatomy_labels, check_anatomy, find_anatomy, look_at
from .settings import settings_for
from .thin_slices import Cut, choose_factor, finish, on_input_axes, slice_axis, thin_noise_model

CONTROL = "super-resolution"
PLANES = {-3: "axial", -2: "coronal", -1: "sagittal"}


@dataclass(frozen=True)
class SuperResolveSettings:
    """How a quality is computed. A model's config holds the values that fit its weights.

    t_start: the first timestep, at which the interpolated image is noised. steps: timesteps from there down to 0.
    sigma_n: in units of the image in [-1, 1]. prior_weight: λ. zeta: share of fresh noise in a step.
    """

    t_start: int = T_START
    steps: int = 100
    sigma_n: float = 1.0
    prior_weight: float = 1.0
    zeta: float = 0.0
    overlap: float = 0.25
    mirrored: int = 1  # mirror images that a ControlNet of a single evaluation averages, 1 to 4
    refiner_mirrored: int = 1  # orientations that a refiner averages, 1 to 8


QUALITIES = {
    # on a Gaussian image these find the posterior, the paper's do not: its data step fades as t → 0
    "fast": SuperResolveSettings(t_start=200, steps=3, sigma_n=0.05, zeta=1.0),
    "balanced": SuperResolveSettings(t_start=300, steps=12, sigma_n=0.05, zeta=1.0, mirrored=4),
    "paper": SuperResolveSettings(),
}


@dataclass(frozen=True)
class SuperResolveResult:
    """The thin slices (the input's type and place), how many replace one, and facts."""

    volume: Volume
    factor: int
    facts: dict

    def outputs(self) -> dict:
        return {"output": [self.volume]}

    def summary(self) -> str:
        (few, many), (before, after) = self.facts["slices"], self.facts["slice_distance_mm"]
        error = self.facts["block_mean_error_hu"]
        return (
            f"{few} {self.facts['plane']} slices {before:g} mm apart → {many} slices {after:g} mm apart "
            f"({self.facts['region']}; their means differ from the scan by at most {error:g} HU)"
        )


def super_resolve(
    volume: Volume,
    model: Model | None = None,
    anatomy: Volume | str = "auto",
    progress: ProgressCallback | None = None,
    **parameters,
) -> SuperResolveResult:
    """Thin slices from thick ones, along the axis of the largest spacing (the axial one if all are alike).

    volume: HU on any grid. anatomy: a label map (0–121) on its grid, or a word (see `scan.anatomy_labels`).
    parameters: those of `SuperResolveParameters`. The result covers the same space; the means of its slices are the
    input's slices: exactly where these are whole numbers, else within 0.01 HU. What lies outside the body, or beyond
    the model's HU window, comes from cubic interpolation. InputError if the slices are thin already, or the model has
    no ControlNet for this and `control` is not "none".
    """
    model, reporter = model or load_model(), Reporter(progress)
    ready = _prepared(volume, model, anatomy, SuperResolveParameters.from_dict(parameters), reporter)
    if len(ready.parts) > 1:
        hu, facts = _in_parts(ready, progress)
    else:
        hu, facts = _thinned(ready, ready.scan, ready.labels, reporter)
    return SuperResolveResult(on_input_axes(ready.scan, hu, ready.cut), ready.cut.factor, facts)


def look(
    volume: Volume,
    model: Model | None = None,
    anatomy: Volume | str = "auto",
    progress: ProgressCallback | None = None,
    **parameters,
) -> dict:
    """What `super_resolve` with these arguments would find and do, without doing it: `region`, `factor`,
    `network_evaluations`, `seconds_each`, measured on one window, and `seconds`, of all, the refiner included. Errors
    as of `super_resolve`.
    """
    model, reporter = model or load_model(), Reporter(progress)
    anatomy = "auto" if anatomy == "totalsegmentator" else anatomy
    ready = _prepared(volume, model, anatomy, SuperResolveParameters.from_dict(parameters), reporter)
    settings, control, cut = ready.settings, ready.control, ready.cut
    scans = [ready.scan.part(part) for part in ready.parts] if len(ready.parts) > 1 else [ready.scan]
    steps = [control.config.direct_t] * settings.mirrored if is_direct(control) else _steps(ready)
    windows = [thin_noise_model(one, cut, "auto", model, control, settings.overlap, reporter) for one in scans]
    count = len(steps) * sum(len(ε.active) for ε in windows)
    cost = count
    if ready.refiner:
        both = zip(windows, scans, strict=True)
        cost += sum(cost_of_refining(ε, one, cut, settings.refiner_mirrored) for ε, one in both)
    each = next((ε.seconds_of_a_window(_told(ε, model), steps[0]) for ε in windows if ε.active), None)
    regions = " + ".join(one.region.name for one in scans)
    times = {"seconds_each": each, "seconds": each and each * cost}
    return {"region": regions, "factor": cut.factor, "network_evaluations": count, **times}


@dataclass(frozen=True)
class _Ready:
    """A scan, the label map of its conditions, how it is cut and with what. parts: to compute one by one; none or one
    where the scan is computed as a whole. anatomy: in words.
    """

    scan: Scan
    labels: np.ndarray
    anatomy: str
    parts: list[BodyPart]
    cut: Cut
    model: Model
    control: Control | None
    refiner: Refiner | None
    settings: SuperResolveSettings
    wanted: SuperResolveParameters


def _prepared(
    volume: Volume, model: Model, anatomy: Volume | str, wanted: SuperResolveParameters, reporter: Reporter
) -> _Ready:
    """All that comes before the estimate."""
    check_ct(volume)
    check_anatomy(anatomy, volume)
    factor = choose_factor(volume, wanted)
    settings = settings_for(model, "super-resolve", QUALITIES[wanted.quality], wanted.quality, wanted.overlap)
    control = _control(model, wanted)
    refiner = thick_slices_refiner(model, control)
    anatomy = find_anatomy(anatomy, volume, reporter, model.device)
    scan = look_at(volume, wanted.region, reporter)
    cut, labels = Cut(slice_axis(scan.frame.spacing), factor), anatomy_labels(scan, anatomy)
    parts = scan.parts(labels) if wanted.region == "auto" and cut.axis == -3 else []
    words = anatomy_in_words(anatomy)
    return _Ready(scan, labels, words, parts, cut, model, control, refiner, settings, wanted)


def _told(ε: NoiseModel, model: Model) -> torch.Tensor:
    """What the ControlNet is told, on the model's device; in a walk the interpolated image, where it starts."""
    return torch.from_numpy(ε.conditions.target[0]).to(model.device)


def _steps(ready: _Ready) -> list[int]:
    settings, schedule = ready.settings, ready.model.schedule
    return uniform_steps(min(settings.t_start, schedule.T - 1), ready.wanted.steps or settings.steps)


def _thinned(ready: _Ready, scan: Scan, labels: np.ndarray, reporter: Reporter) -> tuple[torch.Tensor, dict]:
    """The thin slices of the scan, or of a part of it, in HU on its frame, and facts."""
    control, cut = ready.control, ready.cut
    ε = thin_noise_model(scan, cut, labels, ready.model, control, ready.settings.overlap, reporter)
    estimate, steps = _estimate(ready, scan, ε, reporter)
    hu = _whole_numbers(ready, finish(estimate, scan, cut))
    facts = {
        **_facts(ready, scan, hu),
        "control": (DIRECT if is_direct(control) else CONTROL) if control else "none",
        "refiner": THICK_SLICES.kind if ready.refiner else "none",
        "timesteps": steps,
        "windows": len(ε.active),
        "windows_of_air": len(ε.skipped),
        "network_evaluations": len(steps) * len(ε.active),
    }
    return hu, facts


def _in_parts(ready: _Ready, progress: ProgressCallback | None) -> tuple[torch.Tensor, dict]:
    """As `_thinned`, of a whole body: its parts, each with its own HU window and with the body that the whole has. A
    thick slice counts in a part as a whole, so that the mean of those it becomes stays what it is.
    """
    scan, parts, f = ready.scan, ready.parts, ready.cut.factor

    def run(part: BodyPart, progress: ProgressCallback | None) -> tuple[torch.Tensor, dict]:
        return _thinned(ready, scan.part(part), ready.labels[part.z], Reporter(progress))

    made = run_each(parts, run, progress)
    thin = [BodyPart(p.region, p.start * f, p.stop * f, p.weights.repeat(f)) for p in parts]
    shape = (scan.body.shape[0] * f, *scan.body.shape[1:])
    joined = torch.from_numpy(join_parts(thin, shape, lambda part: made[part.start // f][0].numpy()))
    hu = _whole_numbers(ready, with_block_means(joined, torch.from_numpy(scan.frame.hu), f, ready.cut.axis))
    each = [facts for _, facts in made.values()]
    facts = {
        **_facts(ready, scan, hu),
        "region": " + ".join(part.region.name for part in parts),
        "parts": each,
        "network_evaluations": sum(one["network_evaluations"] for one in each),
    }
    return hu, facts


def _whole_numbers(ready: _Ready, hu: torch.Tensor) -> torch.Tensor:
    """HU rounded where the input's are whole numbers, so that block means stay."""
    whole = np.issubdtype(ready.scan.frame.source.voxels.dtype, np.integer)
    return round_in_blocks(hu, ready.cut.factor, ready.cut.axis) if whole else hu


def _control(model: Model, wanted: SuperResolveParameters) -> Control | None:
    """The ControlNet that is asked for: that of a single evaluation where there is one and no walk is wanted."""
    if wanted.control == "none":
        return None
    names = control_names(model.folder)
    if DIRECT in names and wanted.quality != "paper" and wanted.steps is None:
        return load_control(model, DIRECT, kinds=TOLD)
    if CONTROL not in names:
        raise InputError(
            f"The model {model.name} has no ControlNet {CONTROL!r}: use another model, or the foundation model alone "
            "with --control none."
        )
    return load_control(model, CONTROL, kinds=TOLD)


def _estimate(ready: _Ready, scan: Scan, ε: NoiseModel, reporter: Reporter) -> tuple[np.ndarray, list[int]]:
    """In HU, within the window, and the timesteps: a walk, or a single evaluation and the refiner if there is one."""
    settings, cut = ready.settings, ready.cut
    if not is_direct(ready.control):
        return _sample(ready, scan, ε, reporter)
    if ready.refiner is None:
        return restore_directly(scan, ε, cut, settings.mirrored, reporter)
    after = [cost_of_refining(ε, scan, cut, settings.refiner_mirrored)]
    estimate, steps = restore_directly(scan, ε, cut, settings.mirrored, reporter, after)
    return refined(ready.refiner, scan, estimate, cut, settings.refiner_mirrored, ε.model.dtype, reporter), steps


def _sample(ready: _Ready, scan: Scan, ε: NoiseModel, reporter: Reporter) -> tuple[np.ndarray, list[int]]:
    """DiffPIR from the noised interpolated image. Returns the estimate in HU, within the window, and the timesteps."""
    schedule, device, settings, cut = ε.model.schedule, ε.model.device, ready.settings, ready.cut
    steps = _steps(ready)
    reporter.begin(len(steps), len(ε.active))
    generator = torch.Generator().manual_seed(ready.wanted.seed)
    interpolated = _told(ε, ε.model)
    x = add_noise(interpolated, steps[0], schedule, randn_like(interpolated, generator))
    data_step = super_resolution_data_step(
        torch.from_numpy(scan.x).to(device), cut.factor, cut.axis, settings.sigma_n, settings.prior_weight, schedule
    )
    x0 = diffpir(ε, x, schedule, steps, data_step, generator, reporter.step, settings.zeta)
    return to_hu(x0.clamp(-1, 1).cpu().numpy(), scan.window), steps


def _facts(ready: _Ready, scan: Scan, hu: torch.Tensor) -> dict:
    """What was found and made of the scan or a part of it, for the provenance."""
    cut, wanted = ready.cut, ready.wanted
    before, count = scan.frame.spacing[cut.axis], scan.frame.hu.shape[cut.axis]
    error = block_mean(hu, cut.factor, cut.axis) - torch.from_numpy(scan.frame.hu)
    return {
        "region": scan.region.name,
        "window_hu": list(scan.window),
        "plane": PLANES[cut.axis],
        "factor": cut.factor,
        "slices": [count, count * cut.factor],
        "slice_distance_mm": [round(before, 4), round(before / cut.factor, 4)],
        "slice_distance_asked_mm": None if wanted.factor else wanted.spacing or THIN_MM,
        "block_mean_error_hu": round(float(error.abs().max()), 4),
        "anatomy": ready.anatomy,
    }
