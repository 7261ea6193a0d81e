"""Synthesis of whole CT volumes of any size from a label map (paper, III-C and III-D, Fig. 4), without fine-tuning.

x_T ~ N(0, I), then the sampler over ε(x_t, t | position, region, anatomy), averaged over windows at every step. Our
additions, both after SDEdit (Meng et al. 2022): the levels of the training (III-B) one after the other, where the whole
image at once, which agrees with itself, is resized to the next level, noised to an intermediate t and sampled on; and
a start from the label map painted in usual HU (see `paint`), for weights that do not know the organs' HU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from ..anatomy import BODY_LABEL
from ..body_parts import BodyPart, join_parts, split_labels
from ..errors import InputError
from ..label_map import WALL_MM, region_of_labels, with_body
from ..levels import Level, is_finer, level_of, resample
from ..models import Model, load_model
from ..noise_model import NoiseModel
from ..paint import Paint, paint
from ..parameters import SynthesizeParameters
from ..prepare import AIR_HU, Prepared, prepare
from ..progress import ProgressCallback, Reporter
from ..regions import REGIONS, Region, to_hu, to_model
from ..samplers import ancestral, clip, ddim, dpm_solver_2m, fresh_noise
from ..schedule import trailing_steps, uniform_steps
from ..volume import Volume
from .in_parts import part_of, run_each
from .scan import check_anatomy
from .settings import settings_for

SAMPLERS = {"ddim": ddim, "ancestral": ancestral, "dpm-solver": dpm_solver_2m}


@dataclass(frozen=True)
class SynthesizeSettings:
    """How a quality is computed. These are the paper's values; a model's config holds those that fit its weights.

    levels: the grids to go through, coarse to fine. steps: timesteps of the first level from t_start to 0, None for
    all. timesteps: how they lie, `uniform` down to 0 or `trailing` (see `schedule`), which distilled models walk.
    restart: the t that a further level's image is noised to, at most t_start. painted: begin at t_start from the label
    map in usual HU and noise, not from noise alone.
    """

    levels: tuple[str, ...] = ("patch",)
    sampler: str = "ancestral"
    steps: int | None = None
    timesteps: str = "uniform"
    t_start: int = 990  # ᾱ[999] is 2e-9: there an error of ε is 20 000 times as large in x_0
    restart: int = 500
    overlap: float = 0.25
    painted: bool = False


QUALITIES = {
    "fast": SynthesizeSettings(levels=("image",), sampler="dpm-solver", steps=20),
    "balanced": SynthesizeSettings(levels=("image", "double"), sampler="dpm-solver", steps=20),
    "paper": SynthesizeSettings(),
}


@dataclass(frozen=True)
class SynthesizeResult:
    """Synthetic CTs on the label map's grid (HU, int16), one a sample, and facts."""

    volumes: tuple[Volume, ...]
    facts: dict

    def outputs(self) -> dict:
        return {"output": list(self.volumes)}

    def summary(self) -> str:
        number, levels = len(self.volumes), ", ".join(level["level"] for level in self.facts["levels"])
        return (
            f"{number} synthetic CT{'s' * (number > 1)} ({self.facts['region']}; {levels}; "
            f"{self.facts['network_evaluations']} network evaluations)"
        )


@dataclass(frozen=True)
class Stage:
    """One level: its grid, its noise estimate, its timesteps, and the region that all have."""

    level: Level
    epsilon: NoiseModel
    steps: list[int]
    region: Region


def synthesize(
    anatomy: Volume, model: Model | None = None, progress: ProgressCallback | None = None, **parameters
) -> SynthesizeResult:
    """Make CTs that nobody has from a label map.

    anatomy: labels 0–121 on any grid; a whole body is made region by region; without any 118 a body is estimated
    around the organs, and the facts say so. parameters: those of `SynthesizeParameters`; sample n of a seed is sample
    1 of seed + n − 1. Outside the body the result is air, −1000 HU; within, HU end at those of the region's window,
    unless it began from paint that lies beyond (`paint.Paint.textured`). InputError for a map without organs or with
    unknown labels; what `progress` raises passes through.
    """
    wanted = SynthesizeParameters.from_dict(parameters)
    frame, labels, estimated = _body(anatomy, reporter := Reporter(progress))
    model = model or load_model()
    settings = _settings(model, wanted)
    if wanted.region == "auto" and (parts := split_labels(labels, frame.spacing)):
        return _in_parts(anatomy, frame, labels, parts, model, progress, wanted)
    region = _region(wanted.region, labels, _name(anatomy))
    stages = _stages(model, settings, labels, frame.spacing, region, reporter)
    begun = Paint(paint(labels, frame.spacing, region), frame.spacing, region.window) if settings.painted else None
    seeds = [wanted.seed + number for number in range(wanted.samples)]
    costs = [len(stage.epsilon.active) for stage in stages for _ in stage.steps] * len(seeds)
    reporter.begin(len(costs), costs[0], costs)
    volumes = []
    for seed in seeds:
        hu = np.where(labels > 0, _sample(stages, settings, seed, frame.frame, reporter, begun), AIR_HU)
        volumes.append(replace(anatomy, voxels=np.rint(frame.restore(hu)).astype(np.int16), source=""))
    body = f"estimated: the organs' hull and {WALL_MM:g} mm" if estimated else "given"
    facts = {"body": body, "seeds": seeds, **_facts(stages, settings, region, frame.spacing)}
    return SynthesizeResult(tuple(volumes), facts | {"network_evaluations": sum(costs)})


def look(anatomy: Volume, model: Model | None = None, progress: ProgressCallback | None = None, **parameters) -> dict:
    """What `synthesize` with these arguments would do, without doing it: `region`, `network_evaluations`, and
    `seconds_each`, measured on one window. Errors as of `synthesize`.
    """
    wanted = SynthesizeParameters.from_dict(parameters)
    frame, labels, _ = _body(anatomy, reporter := Reporter(progress))
    model = model or load_model()
    settings = _settings(model, wanted)
    parts = split_labels(labels, frame.spacing) if wanted.region == "auto" else []
    whole = frame.frame.with_voxels(labels)
    several = [(part_of(whole, part).voxels, part.region) for part in parts or []]
    each = several or [(labels, _region(wanted.region, labels, _name(anatomy)))]
    runs = [_stages(model, settings, one, frame.spacing, region, reporter) for one, region in each]
    count = sum(len(stage.epsilon.active) * len(stage.steps) for stages in runs for stage in stages)
    stage = next((stage for stages in runs for stage in stages if stage.epsilon.active), None)
    noise = stage and torch.zeros(stage.level.shape, device=model.device)
    seconds = stage and stage.epsilon.seconds_of_a_window(noise, stage.steps[0])
    regions = " + ".join(region.name for _, region in each)
    return {"region": regions, "network_evaluations": count * wanted.samples, "seconds_each": seconds}


def _body(anatomy: Volume, reporter: Reporter) -> tuple[Prepared, np.ndarray, bool]:
    """The label map's frame, its labels with a body around the organs, and whether that body is estimated."""
    if not np.issubdtype(anatomy.voxels.dtype, np.integer) or not anatomy.voxels.any():
        raise InputError(
            f"{_name(anatomy)} holds no labels: give a label map of organs with TotalSegmentator's numbers."
        )
    check_anatomy(anatomy, anatomy)
    frame = prepare(anatomy)
    labels = frame.labels(anatomy)
    reporter.tick()
    estimated = BODY_LABEL not in labels
    labels = with_body(labels, frame.spacing) if estimated else labels
    reporter.tick()
    return frame, labels, estimated


def _name(anatomy: Volume) -> str:
    return anatomy.source or "The label map"


def _in_parts(
    anatomy: Volume,
    frame: Prepared,
    labels: np.ndarray,
    parts: list[BodyPart],
    model: Model,
    progress: ProgressCallback | None,
    wanted: SynthesizeParameters,
) -> SynthesizeResult:
    """The parts of a whole body, each synthesized in its region and joined without a seam."""
    values, whole = wanted.to_dict(), frame.frame.with_voxels(labels)

    def run(part: BodyPart, progress: ProgressCallback | None) -> SynthesizeResult:
        return synthesize(part_of(whole, part), model, progress, **values | {"region": part.region.name})

    made = run_each(parts, run, progress)
    volumes = []
    for number in range(wanted.samples):
        of_sample = {start: one.volumes[number].voxels.astype(np.float32) for start, one in made.items()}
        hu = join_parts(parts, labels.shape, lambda part, of_sample=of_sample: of_sample[part.start])
        volumes.append(replace(anatomy, voxels=np.rint(frame.restore(hu)).astype(np.int16), source=""))
    facts = {"region": " + ".join(part.region.name for part in parts), "parts": [one.facts for one in made.values()]}
    facts["begun_from"] = facts["parts"][0]["begun_from"]
    facts["levels"] = [level for one in made.values() for level in one.facts["levels"]]
    facts["network_evaluations"] = sum(one.facts["network_evaluations"] for one in made.values())
    return SynthesizeResult(tuple(volumes), facts | {"seeds": facts["parts"][0]["seeds"]})


def _settings(model: Model, wanted: SynthesizeParameters) -> SynthesizeSettings:
    """The quality's settings, the model's over them, and what was asked for over those."""
    settings = settings_for(model, "synthesize", QUALITIES[wanted.quality], wanted.quality, wanted.overlap)
    levels = wanted.levels.split(",") if wanted.levels else settings.levels
    asked = {"sampler": wanted.sampler or settings.sampler, "steps": wanted.steps or settings.steps}
    return replace(settings, levels=tuple(levels), **asked)


def _region(asked: str, labels: np.ndarray, name: str) -> Region:
    region = region_of_labels(labels) if asked == "auto" else REGIONS[asked]
    if region is None:
        raise InputError(f"{name} holds no organ that tells the region: give it with --region.")
    return region


def _stages(
    model: Model,
    settings: SynthesizeSettings,
    labels: np.ndarray,
    spacing: tuple[float, float, float],
    region: Region,
    reporter: Reporter,
) -> list[Stage]:
    """The levels to go through; one that is no finer than the level before it is left out."""
    config = model.network.config
    stages: list[Stage] = []
    for name in settings.levels:
        level = level_of(name, labels.shape, spacing, config.patch)
        if stages and not is_finer(level, stages[-1].level):
            continue
        conditions = level.conditions(labels, region.index, config.position_frequencies)
        epsilon = NoiseModel(
            model,
            conditions,
            body=conditions.labels > 0,
            air=float(to_model(AIR_HU, region.window)),
            overlap=settings.overlap,
            on_window=reporter.window,
        )
        stages.append(Stage(level, epsilon, _steps(settings, first=not stages), region))
    return stages


def _steps(settings: SynthesizeSettings, first: bool) -> list[int]:
    """The timesteps of the first level, or of a further one: fewer, in the same density."""
    start = settings.t_start
    if settings.timesteps == "trailing":  # of those alone: a distilled model knows no others
        steps = trailing_steps(start, settings.steps or start)
        return steps if first else [t for t in steps if t <= settings.restart] or steps[-1:]
    if first:
        return uniform_steps(start, settings.steps or start + 1)
    restart = min(settings.restart, start)
    share = restart / start
    return uniform_steps(restart, max(2, round((settings.steps or start + 1) * share)))


def _sample(
    stages: list[Stage],
    settings: SynthesizeSettings,
    seed: int,
    frame: Volume,
    reporter: Reporter,
    painted: Paint | None = None,
) -> np.ndarray:
    """One sample in HU on the grid of `frame`, the label map in RAS order. painted: begun from, if given."""
    generator = torch.Generator().manual_seed(seed)
    window, before, x0 = stages[0].region.window, None, None
    for stage in stages:
        schedule, device = stage.epsilon.model.schedule, stage.epsilon.model.device
        x = fresh_noise(torch.empty(stage.level.shape, device=device), generator)
        known = _known(stage, before, x0, painted)
        if known is not None:
            alpha = float(schedule.alpha_bar[stage.steps[0]])
            x = math.sqrt(alpha) * known.to(device) + math.sqrt(1 - alpha) * x
        done, reporter.show = reporter.done, partial(_as_volume, stage, frame)

        def callback(i: int, t: int, x0: torch.Tensor, done: int = done) -> None:
            reporter.step(done + i, t, x0)

        x0 = SAMPLERS[settings.sampler](stage.epsilon, x, schedule, stage.steps, clip, generator, callback)
        before = stage.level
    if painted is not None:
        return painted.textured(x0.cpu().numpy(), before)
    own = level_of("own", frame.voxels.shape, frame.spacing, 0)
    return to_hu(resample(x0, before, own).cpu().numpy(), window)


def _known(stage: Stage, before: Level | None, x0: torch.Tensor | None, painted: Paint | None) -> torch.Tensor | None:
    """What a stage begins from besides noise, in the model's range: the level before it, or the paint, or nothing."""
    if x0 is not None:
        return resample(x0, before, stage.level)
    return None if painted is None else torch.from_numpy(to_model(painted.at(stage.level), painted.window))


def _as_volume(stage: Stage, frame: Volume, x0: torch.Tensor) -> Volume:
    """An estimate in HU on its level's grid, for a preview."""
    offset, step = (np.array(v[::-1]) for v in (stage.level.offset, stage.level.step))
    direction = np.reshape(frame.direction, (3, 3))
    origin = frame.origin + direction @ (offset * frame.spacing)
    hu = np.where(stage.epsilon.conditions.labels > 0, to_hu(x0.cpu().numpy(), stage.region.window), AIR_HU)
    return Volume(hu.astype(np.float32), tuple(step * frame.spacing), tuple(origin), frame.direction)


def _facts(
    stages: list[Stage], settings: SynthesizeSettings, region: Region, spacing: tuple[float, float, float]
) -> dict:
    """What was found and computed, for the provenance."""
    levels = [_level_facts(stage, spacing) for stage in stages]
    begun = f"the label map in usual HU and noise, t = {stages[0].steps[0]}" if settings.painted else "noise"
    facts = {"region": region.name, "window_hu": list(region.window), "sampler": settings.sampler}
    return facts | {"begun_from": begun, "levels": levels}


def _level_facts(stage: Stage, spacing: tuple[float, float, float]) -> dict:
    """What was computed at a level, for the provenance; sizes and spacings (x, y, z)."""
    return {
        "level": stage.level.name,
        "size": list(stage.level.shape[::-1]),
        "spacing_mm": [round(d * s, 3) for d, s in zip(stage.level.step, spacing, strict=True)][::-1],
        "timesteps": stage.steps,
        "windows": len(stage.epsilon.active),
        "windows_of_air": len(stage.epsilon.skipped),
    }
