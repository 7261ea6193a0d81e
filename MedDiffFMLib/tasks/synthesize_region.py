"""One region of a label map made into a CT, level by level, coarse to fine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..anatomy.body_regions import RegionSpan
from ..diffusion.samplers import ancestral, clip, ddim, dpm_solver_2m, randn_like
from ..diffusion.schedule import add_noise
from ..inference.levels import Level, level_of, resample
from ..progress import Reporter
from ..volumes.frame import AIR_HU
from ..volumes.intensity import to_hu, to_model
from ..volumes.volume import Volume
from .facts import SynthesizedRegion
from .hu_template import HuTemplate, render_labels
from .synthesis_stages import Stage, as_volume, level_facts

if TYPE_CHECKING:
    from .synthesize import SynthesizeSettings

SAMPLERS = {"ddim": ddim, "ancestral": ancestral, "dpm-solver": dpm_solver_2m}


@dataclass(frozen=True)
class RegionSynthesizer:
    """One region of a label map, ready to be synthesized.

    span: its slices in the whole map; labels: those slices in RAS order, with their body; stages: its levels.
    """

    span: RegionSpan
    labels: Volume
    stages: list[Stage]
    settings: SynthesizeSettings
    reporter: Reporter

    @property
    def costs(self) -> list[float]:
        """The tiles of each step of one sample."""
        return [len(stage.eps.active) for stage in self.stages for _ in stage.steps]

    def facts(self, samples: int) -> SynthesizedRegion:
        """The facts of the region for all samples."""
        settings, region, first = self.settings, self.span.region, self.stages[0]
        return SynthesizedRegion(
            region=region.name,
            window_hu=list(region.window),
            sampler=settings.sampler,
            begun_from=f"the label map in usual HU and noise, t = {first.steps[0]}" if settings.painted else "noise",
            levels=[level_facts(stage, self.labels.spacing[::-1]) for stage in self.stages],
            network_evaluations=sum(self.costs) * samples,
        )

    def samples(self, seeds: Sequence[int]) -> Iterator[np.ndarray]:
        """The samples in HU (Z, Y, X), whole numbers in float32, one a seed; air outside the body."""
        template = self._template()
        for seed in seeds:
            hu = self._sample(seed, template)
            yield np.rint(np.where(self.labels.voxels > 0, hu, AIR_HU)).astype(np.float32)

    def _template(self) -> HuTemplate | None:
        """The label map in usual HU, if sampling begins from it."""
        if not self.settings.painted:
            return None
        spacing, region = self.labels.spacing[::-1], self.span.region
        return HuTemplate(render_labels(self.labels.voxels, spacing, region), spacing, region.window)

    def _sample(self, seed: int, template: HuTemplate | None) -> np.ndarray:
        """One sample in HU on the grid of the labels."""
        generator = torch.Generator().manual_seed(seed)
        window, before, x0 = self.stages[0].region.window, None, None
        for stage in self.stages:
            schedule, device = stage.eps.model.schedule, stage.eps.model.device
            x = randn_like(torch.empty(stage.level.shape, device=device), generator)
            known = _known(stage, before, x0, template)
            if known is not None:
                x = add_noise(known.to(device), stage.steps[0], schedule, x)
            done, self.reporter.make_preview = self.reporter.done, partial(as_volume, stage, self.labels)

            def callback(i: int, t: int, x0: torch.Tensor, done: int = done) -> None:
                self.reporter.step(done + i, t, x0)

            x0 = SAMPLERS[self.settings.sampler](stage.eps, x, schedule, stage.steps, clip, generator, callback)
            before = stage.level
        if template is not None:
            return template.textured(x0.cpu().numpy(), before)
        native = level_of("own", self.labels.voxels.shape, self.labels.spacing, 0)
        return to_hu(resample(x0, before, native).cpu().numpy(), window)


def _known(
    stage: Stage, before: Level | None, x0: torch.Tensor | None, template: HuTemplate | None
) -> torch.Tensor | None:
    """The image that a stage begins from besides noise, in the model's range: the level before it, the label map in
    usual HU, or nothing.
    """
    if x0 is not None:
        return resample(x0, before, stage.level)
    return None if template is None else torch.from_numpy(to_model(template.at(stage.level), template.window))
