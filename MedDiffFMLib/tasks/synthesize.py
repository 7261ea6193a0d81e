"""Synthesis of whole CT volumes of any size from a label map (paper, III-C and III-D, Fig. 4), without fine-tuning.

x_T ~ N(0, I), then the sampler over ε(x_t, t | position, region, anatomy), averaged over tiles at every step. Our
additions, both after SDEdit (Meng et al. 2022): the levels of the training (III-B) one after the other, where the whole
image at once, which agrees with itself, is resized to the next level, noised to an intermediate t and sampled on; and
a start from the label map painted in usual HU (see `hu_template`), for weights that do not know the organs' HU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from ..anatomy.body_regions import RegionBlender, crop_to_span, split_labels, whole_scan
from ..anatomy.region_detection import region_of_labels
from ..anatomy.regions import REGIONS, Region
from ..anatomy.tissue import BODY_LABEL, WALL_MM, with_body
from ..diffusion.schedule import T_START
from ..errors import InputError
from ..models.loading import Model, load_model
from ..parameters import SynthesizeParameters
from ..progress import ProgressCallback, Reporter
from ..volumes.frame import Frame, prepare
from ..volumes.volume import Volume
from .facts import SynthesizeFacts
from .known_anatomy import check_anatomy
from .settings import TiledSettings, settings_for
from .synthesis_stages import LesionControl, stages_of
from .synthesize_region import RegionSynthesizer


@dataclass(frozen=True)
class SynthesizeSettings(TiledSettings):
    """The settings of a quality. The defaults are the paper's; a model's config holds those that fit its weights.

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
    painted: bool = False


QUALITIES = {
    "fast": SynthesizeSettings(levels=("image",), sampler="dpm-solver", steps=20, tile_weights="fade"),
    "balanced": SynthesizeSettings(levels=("image", "double"), sampler="dpm-solver", steps=20, tile_weights="fade"),
    "paper": SynthesizeSettings(),
}


@dataclass(frozen=True)
class SynthesizeResult:
    """Synthetic CTs on the label map's grid (HU, int16), one a sample, and facts."""

    volumes: tuple[Volume, ...]
    facts: SynthesizeFacts

    def outputs(self) -> dict:
        return {"output": list(self.volumes)}

    def summary(self) -> str:
        number, levels = len(self.volumes), ", ".join(level.level for level in self.facts.levels)
        return (
            f"{number} synthetic CT{'s' * (number > 1)} ({self.facts.region}; {levels}; "
            f"{self.facts.network_evaluations} network evaluations)"
        )


def synthesize(
    anatomy: Volume, model: Model | None = None, progress: ProgressCallback | None = None, **parameters
) -> SynthesizeResult:
    """Synthesize CTs of no real person from a label map.

    anatomy: labels 0–121 on any grid; a whole body is made region by region; without any 118 a body is estimated
    around the organs, and the facts say so. parameters: those of `SynthesizeParameters`; sample n of a seed is sample
    1 of seed + n − 1. Outside the body the result is air, −1000 HU; within, HU end at those of the region's window,
    unless it began from paint that lies beyond (`hu_template.HuTemplate.textured`). InputError for a map without organs
    or with unknown labels; what `progress` raises passes through.
    """
    return plan(anatomy, SynthesizeParameters.from_dict(parameters), model, Reporter(progress)).run()


def look(anatomy: Volume, model: Model | None = None, progress: ProgressCallback | None = None, **parameters) -> dict:
    """An estimate of `synthesize` with these arguments, without running it: `region`, `network_evaluations`, and
    `seconds_each`, measured on one tile. Errors as of `synthesize`.
    """
    return plan(anatomy, SynthesizeParameters.from_dict(parameters), model, Reporter(progress)).estimate()


def plan(
    anatomy: Volume,
    params: SynthesizeParameters,
    model: Model | None,
    reporter: Reporter,
    for_estimate: bool = False,
    lesion: LesionControl | None = None,
) -> SynthesizePlan:
    """The synthesis from a label map, ready to run. Arguments and errors as of `synthesize`. lesion: drawn with it."""
    frame, labels, estimated = _complete_body(anatomy, reporter)
    model = model or load_model()
    settings = _settings(model, params)
    spans = split_labels(labels, frame.spacing) if params.region == "auto" else []
    spans = spans or [whole_scan(_region(params.region, labels, _name(anatomy)), len(labels))]
    whole, regions = frame.volume.with_voxels(labels), []
    for span in spans:
        part = crop_to_span(whole, span)
        drawn = lesion and lesion.part(span.z)
        stages = stages_of(model, settings, part.voxels, frame.spacing, span.region, reporter, drawn)
        regions.append(RegionSynthesizer(span, part, stages, settings, reporter))
    return SynthesizePlan(frame, regions, params, estimated, reporter)


@dataclass(frozen=True)
class SynthesizePlan:
    """A label map and its regions, ready to be synthesized. estimated: whether its body is a guess."""

    frame: Frame
    regions: list[RegionSynthesizer]
    params: SynthesizeParameters
    estimated: bool
    reporter: Reporter

    @property
    def costs(self) -> list[float]:
        """The tiles of each progress step of all samples."""
        return [cost for region in self.regions for cost in region.costs * self.params.samples]

    def estimate(self) -> dict:
        """Region and costs, as `look` returns them."""
        stage = next((stage for region in self.regions for stage in region.stages if stage.eps.active), None)
        noise = stage and torch.zeros(stage.level.shape, device=stage.eps.model.device)
        return {
            "region": " + ".join(region.span.region.name for region in self.regions),
            "network_evaluations": sum(self.costs),
            "seconds_each": stage and stage.eps.seconds_of_a_tile(noise, stage.steps[0]),
        }

    def run(self) -> SynthesizeResult:
        """The result: all samples of all regions, joined without a seam."""
        self.reporter.begin(len(self.costs), self.costs[0], self.costs)
        return self.compute()

    def compute(self) -> SynthesizeResult:
        """The result of `run`, for a reporter that counts these steps among others."""
        seeds = [self.params.seed + number for number in range(self.params.samples)]
        samples = [RegionBlender(self.frame.hu.shape) for _ in seeds]
        for region in self.regions:
            for whole, hu in zip(samples, region.samples(seeds), strict=True):
                whole.add(region.span, hu)
        source = self.frame.source
        restored = [np.rint(self.frame.restore(whole.values)).astype(np.int16) for whole in samples]
        volumes = tuple(replace(source, voxels=voxels, source="") for voxels in restored)
        body = f"estimated: the organs' hull and {WALL_MM:g} mm" if self.estimated else "given"
        regions = [region.facts(self.params.samples) for region in self.regions]
        return SynthesizeResult(volumes, SynthesizeFacts(body, seeds, regions))


def _complete_body(anatomy: Volume, reporter: Reporter) -> tuple[Frame, np.ndarray, bool]:
    """The label map's frame, its labels with a body around the organs, and whether that body is estimated."""
    if not np.issubdtype(anatomy.voxels.dtype, np.integer) or not anatomy.voxels.any():
        raise InputError(
            f"{_name(anatomy)} holds no labels: give a label map of organs with TotalSegmentator's numbers."
        )
    check_anatomy(anatomy, anatomy)
    frame = prepare(anatomy)
    labels = frame.labels(anatomy)
    reporter.heartbeat()
    estimated = BODY_LABEL not in labels
    labels = with_body(labels, frame.spacing) if estimated else labels
    reporter.heartbeat()
    return frame, labels, estimated


def _name(anatomy: Volume) -> str:
    """The name of a label map in messages."""
    return anatomy.source or "The label map"


def _settings(model: Model, params: SynthesizeParameters) -> SynthesizeSettings:
    """The settings of a run: the quality's, overridden by the model's, and those by the parameters."""
    settings = settings_for(model, "synthesize", QUALITIES[params.quality], params.quality, params.overlap)
    levels = params.levels.split(",") if params.levels else settings.levels
    asked = {"sampler": params.sampler or settings.sampler, "steps": params.steps or settings.steps}
    return replace(settings, levels=tuple(levels), **asked)


def _region(asked: str, labels: np.ndarray, name: str) -> Region:
    """The region asked for, or the one that the labels show. InputError, with the map's name, if they show none."""
    region = region_of_labels(labels) if asked == "auto" else REGIONS[asked]
    if region is None:
        raise InputError(f"{name} holds no organ that indicates the region: give it with --region.")
    return region
