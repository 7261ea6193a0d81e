"""Synthesis of whole CT volumes of any size from a label map (paper, III-C and III-D, Fig. 4), without fine-tuning.

x_T ~ N(0, I), then the sampler over ε(x_t, t | position, region, anatomy), averaged over windows at every step. Our
additions, both after SDEdit (Meng et al. 2022): the levels of the training (III-B) one after the other, where the whole
image at once, which agrees with itself, is resized to the next level, noised to an intermediate t and sampled on; and
a start from the label map painted in usual HU (see `paint`), for weights that do not know the organs' HU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from ..anatomy.body_regions import BodyPart, join_parts, split_labels
from ..anatomy.region_detection import region_of_labels
from ..anatomy.regions import REGIONS, Region
from ..anatomy.tissue import BODY_LABEL, WALL_MM, with_body
from ..diffusion.samplers import ancestral, clip, ddim, dpm_solver_2m, randn_like
from ..diffusion.schedule import T_START, add_noise
from ..errors import InputError
from ..inference.levels import Level, level_of, resample
from ..models.loading import Model, load_model
from ..parameters import SynthesizeParameters
from ..progress import ProgressCallback, Reporter
from ..volumes.frame import AIR_HU, Prepared, prepare
from ..volumes.intensity import to_hu, to_model
from ..volumes.volume import Volume
from .by_region import part_of, run_each
from .hu_template import Paint, paint
from .scan import check_anatomy
from .settings import settings_for
from .synthesis_stages import Stage, as_volume, stage_facts, stages_of

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
    t_start: int = T_START
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
    seeds = [wanted.seed + number for number in range(wanted.samples)]
    if wanted.region == "auto" and (parts := split_labels(labels, frame.spacing)):
        samples, facts = _in_parts(frame.frame.with_voxels(labels), parts, model, settings, seeds, progress)
    else:
        region = _region(wanted.region, labels, _name(anatomy))
        samples, facts = _sampled(frame.frame.with_voxels(labels), region, model, settings, seeds, reporter)
    volumes = [replace(anatomy, voxels=np.rint(frame.restore(hu)).astype(np.int16), source="") for hu in samples]
    body = f"estimated: the organs' hull and {WALL_MM:g} mm" if estimated else "given"
    return SynthesizeResult(tuple(volumes), {"body": body, "seeds": seeds, **facts})


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
    runs = [stages_of(model, settings, one, frame.spacing, region, reporter) for one, region in each]
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


def _sampled(
    labels: Volume, region: Region, model: Model, settings: SynthesizeSettings, seeds: list[int], reporter: Reporter
) -> tuple[list[np.ndarray], dict]:
    """A label map (RAS order, with its body) as one region: HU (Z, Y, X), whole numbers, a seed each, and facts."""
    known, spacing = labels.voxels, labels.spacing[::-1]
    stages = stages_of(model, settings, known, spacing, region, reporter)
    begun = Paint(paint(known, spacing, region), spacing, region.window) if settings.painted else None
    costs = [len(stage.epsilon.active) for stage in stages for _ in stage.steps] * len(seeds)
    reporter.begin(len(costs), costs[0], costs)
    made = (_sample(stages, settings, seed, labels, reporter, begun) for seed in seeds)
    samples = [np.rint(np.where(known > 0, hu, AIR_HU)).astype(np.float32) for hu in made]
    return samples, stage_facts(stages, settings, region, spacing) | {"network_evaluations": sum(costs)}


def _in_parts(
    labels: Volume,
    parts: list[BodyPart],
    model: Model,
    settings: SynthesizeSettings,
    seeds: list[int],
    progress: ProgressCallback | None,
) -> tuple[list[np.ndarray], dict]:
    """As `_sampled`, of a whole body: its parts, each in its region and with the body that the whole has, joined
    without a seam.
    """

    def run(part: BodyPart, progress: ProgressCallback | None) -> tuple[list[np.ndarray], dict]:
        return _sampled(part_of(labels, part), part.region, model, settings, seeds, Reporter(progress))

    made = run_each(parts, run, progress)
    joined = [
        join_parts(parts, labels.voxels.shape, lambda part, number=number: made[part.start][0][number])
        for number in range(len(seeds))
    ]
    each = [facts for _, facts in made.values()]
    facts = {"region": " + ".join(part.region.name for part in parts), "parts": each}
    facts["begun_from"] = each[0]["begun_from"]
    facts["levels"] = [level for one in each for level in one["levels"]]
    return joined, facts | {"network_evaluations": sum(one["network_evaluations"] for one in each)}


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
        x = randn_like(torch.empty(stage.level.shape, device=device), generator)
        known = _known(stage, before, x0, painted)
        if known is not None:
            x = add_noise(known.to(device), stage.steps[0], schedule, x)
        done, reporter.show = reporter.done, partial(as_volume, stage, frame)

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
