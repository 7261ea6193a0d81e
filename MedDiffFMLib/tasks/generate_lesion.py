"""Lesion generation: a CT of no real person, with a lesion, from a label map and a lesion mask (paper, III-E2).

The paper samples the whole volume with the ControlNet, and so does quality `paper`. The others synthesize the anatomy
without it, coarse levels first where the quality has them, and then the ControlNet draws the lesion in the tiles
that meet it, by RePaint. The ControlNet is conditioned on the lesion alone, so only the few tiles that meet it are
computed again; and the same seed gives the same patient with another lesion, or with none (`synthesize`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..anatomy.body_regions import region_at
from ..anatomy.lesion_masks import check_place, lesion_voxels
from ..anatomy.region_detection import region_of_labels
from ..anatomy.regions import REGIONS, Region
from ..anatomy.tissue import BODY_LABEL, BodyImage, with_body
from ..errors import InputError
from ..models.loading import Model, load_model
from ..parameters import GenerateLesionParameters, SynthesizeParameters
from ..progress import ProgressCallback, Reporter
from ..volumes.frame import prepare
from ..volumes.volume import Volume
from .facts import ControlledLesionFacts, GenerateLesionFacts
from .known_anatomy import KnownAnatomy, check_anatomy
from .lesion_inpainter import LesionInpainter, LesionSettings, choose_kind, lesion_settings, mask_facts
from .scan import Scan
from .synthesis_stages import LesionControl
from .synthesize import SynthesizePlan
from .synthesize import plan as plan_synthesis


@dataclass(frozen=True)
class GenerateLesionResult:
    """Synthetic CTs with a lesion on the label map's grid (HU, int16), one a sample, and facts."""

    volumes: tuple[Volume, ...]
    facts: GenerateLesionFacts

    def outputs(self) -> dict:
        return {"output": list(self.volumes)}

    def summary(self) -> str:
        number, lesion = len(self.volumes), self.facts.lesion
        what = f"{number} synthetic CT{'s' * (number > 1)} with a {lesion.kind} lesion of {lesion.lesion_ml:g} ml"
        return f"{what} ({lesion.region}; {self.facts.network_evaluations} network evaluations)"


def generate_lesion(
    anatomy: Volume,
    lesion_mask: Volume,
    model: Model | None = None,
    progress: ProgressCallback | None = None,
    **parameters,
) -> GenerateLesionResult:
    """Synthesize CTs of no real person with a lesion.

    anatomy: labels 0–121 on any grid, as for `synthesize`; lesion_mask: on the same grid, everything above 0 is
    lesion. parameters: those of `GenerateLesionParameters`. Outside the mask sample n equals sample n of `synthesize`
    with the same seed, region, quality and (synthesis) steps, but for quality `paper`. InputError as of `synthesize`
    and `inpaint_lesion`; what `progress` raises passes through.
    """
    params = GenerateLesionParameters.from_dict(parameters)
    return plan(anatomy, lesion_mask, params, model, Reporter(progress)).run()


def look(
    anatomy: Volume,
    lesion_mask: Volume,
    model: Model | None = None,
    progress: ProgressCallback | None = None,
    **parameters,
) -> dict:
    """An estimate of `generate_lesion` with these arguments, without running it: `region`, `network_evaluations`, and
    `seconds_each`, measured on a tile of the synthesis. Errors as of `generate_lesion`.
    """
    params = GenerateLesionParameters.from_dict(parameters)
    return plan(anatomy, lesion_mask, params, model, Reporter(progress)).estimate()


def plan(
    anatomy: Volume,
    lesion_mask: Volume,
    params: GenerateLesionParameters,
    model: Model | None,
    reporter: Reporter,
    for_estimate: bool = False,
) -> GenerateLesionPlan | ControlledSynthesisPlan:
    """The synthesis of a CT with a lesion, ready to run. Arguments and errors as of `generate_lesion`."""
    model = model or load_model()
    settings = lesion_settings(model, params)
    with_the_whole_ct = params.quality == "paper"
    if with_the_whole_ct and (params.steps or params.resample):
        raise InputError(
            "Quality paper draws the lesion with the whole CT, not after it: leave out --steps and --resample, or use "
            "another quality."
        )
    check_anatomy(anatomy, anatomy)
    lesion = lesion_voxels(lesion_mask, anatomy, "anatomy")
    labels, region = _complete_body(anatomy, lesion, params.region)
    if region is not None:  # else synthesis refuses
        check_place(lesion, labels.voxels > 0, lesion_mask.source)
        kind = choose_kind(model, params.kind, region)
    same = {name: getattr(params, name) for name in ("region", "quality", "samples", "overlap", "seed")}
    for_synthesis = SynthesizeParameters.from_dict(same | {"steps": params.synthesis_steps})
    if with_the_whole_ct and region is not None:
        net = model.controlnet(kind, kinds=("lesion-mask",))
        mask = prepare(anatomy).labels(anatomy.with_voxels(lesion.astype(np.uint8))) > 0
        synthesis = plan_synthesis(anatomy, for_synthesis, model, reporter, lesion=LesionControl(net, mask))
        facts = ControlledLesionFacts(**mask_facts(kind, lesion_mask, lesion, anatomy), region=region.name)
        return ControlledSynthesisPlan(synthesis, facts)
    synthesis = plan_synthesis(anatomy, for_synthesis, model, reporter)
    return GenerateLesionPlan(synthesis, labels, region, lesion_mask, model, settings, params, reporter)


@dataclass(frozen=True)
class ControlledSynthesisPlan:
    """A synthesis conditioned on the lesion throughout [paper III-E2], ready to run."""

    synthesis: SynthesizePlan
    lesion: ControlledLesionFacts

    def estimate(self) -> dict:
        """Region and costs, as `look` returns them."""
        return self.synthesis.estimate()

    def run(self) -> GenerateLesionResult:
        """The result: CTs that are made with the lesion in them."""
        result = self.synthesis.run()
        return GenerateLesionResult(result.volumes, GenerateLesionFacts(result.facts, self.lesion))


@dataclass(frozen=True)
class GenerateLesionPlan:
    """A label map, with its body, and a lesion's mask, ready to be made into CTs. region: where the lesion lies."""

    synthesis: SynthesizePlan
    labels: Volume
    region: Region
    lesion_mask: Volume
    model: Model
    settings: LesionSettings
    params: GenerateLesionParameters
    reporter: Reporter

    def estimate(self) -> dict:
        """Region and costs, as `look` returns them."""
        estimate, lesion = self.synthesis.estimate(), self._inpainter_for_costs()
        count = lesion.evaluations * lesion.tiles * self.params.samples
        return estimate | {"network_evaluations": estimate["network_evaluations"] + count}

    def run(self) -> GenerateLesionResult:
        """The result: CTs are made without a lesion, and then the lesion in each."""
        lesion, samples = self._inpainter_for_costs(), self.params.samples
        costs = [*self.synthesis.costs, *[lesion.tiles] * lesion.evaluations * samples]
        self.reporter.begin(len(costs), costs[0], costs)
        result = self.synthesis.compute()
        volumes = []
        for number, healthy in enumerate(result.volumes):
            inpainter = self._inpainter(healthy)
            self.reporter.make_preview = inpainter.as_volume
            volumes.append(inpainter.inpaint(self.params.seed + number))
        return GenerateLesionResult(tuple(volumes), GenerateLesionFacts(result.facts, inpainter.facts(samples)))

    def _inpainter_for_costs(self) -> LesionInpainter:
        """The inpainter in a blank body: it costs what one in a synthetic CT does."""
        return self._inpainter(self.labels.with_voxels(np.where(self.labels.voxels > 0, 0, -1000).astype(np.int16)))

    def _inpainter(self, healthy: Volume) -> LesionInpainter:
        """The inpainter of a synthetic CT, whose body is known."""
        frame = prepare(healthy, self.settings.spacing_mm)
        image = BodyImage(frame.hu, frame.spacing, frame.labels(self.labels) > 0)
        scan = Scan(frame, image, self.region, self.region.window)
        labels = KnownAnatomy(self.labels).labels(scan)
        return LesionInpainter(
            self.model, scan, self.lesion_mask, labels, self.params.kind, self.settings, self.reporter
        )


def _complete_body(anatomy: Volume, lesion: np.ndarray, region: str) -> tuple[Volume, Region | None]:
    """The label map with a body, as `synthesize` completes it, and its region, in a whole body that of the part where
    the lesion lies; None if it cannot be found.
    """
    frame = prepare(anatomy)
    labels = frame.labels(anatomy)
    if BODY_LABEL not in labels:
        labels = with_body(labels, frame.spacing)
    if region == "auto":
        place = frame.labels(anatomy.with_voxels(lesion.astype(np.uint8))) > 0
        region_there = region_at(place, labels, frame.spacing, default=region_of_labels(labels))
    else:
        region_there = REGIONS[region]
    return anatomy.with_voxels(np.rint(frame.restore(labels)).astype(np.uint8)), region_there
