"""The levels that a synthesis goes through: the grid, the noise estimate and the timesteps of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..anatomy.regions import Region
from ..diffusion.schedule import trailing_steps, uniform_steps
from ..inference.levels import Level, is_finer, level_of
from ..inference.noise_predictor import NoisePredictor
from ..models.loading import Model
from ..networks.conditions import Conditions
from ..networks.controlnet import ControlNet
from ..progress import Reporter
from ..volumes.frame import AIR_HU
from ..volumes.intensity import to_hu, to_model
from ..volumes.volume import Volume
from .facts import SynthesizedLevel

if TYPE_CHECKING:
    from .synthesize import SynthesizeSettings


@dataclass(frozen=True)
class Stage:
    """A level of a synthesis: its grid, its noise estimate, its timesteps, and the region, which all levels share."""

    level: Level
    eps: NoisePredictor
    steps: list[int]
    region: Region


@dataclass(frozen=True)
class LesionControl:
    """A ControlNet that conditions a whole synthesis on a lesion. mask: bool (Z, Y, X) on the grid of the labels."""

    net: ControlNet
    mask: np.ndarray

    def part(self, z: slice) -> LesionControl | None:
        """The control of some slices; None where they hold nothing of the lesion."""
        return LesionControl(self.net, self.mask[z]) if self.mask[z].any() else None

    def conditions(self, conditions: Conditions, level: Level) -> Conditions:
        """A level's conditions with the lesion as target."""
        return replace(conditions, target=level.labels(self.mask)[None].astype(np.float32))


def stages_of(
    model: Model,
    settings: SynthesizeSettings,
    labels: np.ndarray,
    spacing: tuple[float, float, float],
    region: Region,
    reporter: Reporter,
    lesion: LesionControl | None = None,
) -> list[Stage]:
    """The levels to go through; one that is no finer than the level before it is left out. lesion: drawn too."""
    config = model.network.config
    stages: list[Stage] = []
    for name in settings.levels:
        level = level_of(name, labels.shape, spacing, config.patch)
        if stages and not is_finer(level, stages[-1].level):
            continue
        conditions = level.conditions(labels, region.index, config.encoding)
        if lesion is not None:
            conditions = lesion.conditions(conditions, level)
        eps = NoisePredictor(
            model,
            conditions,
            body=conditions.labels > 0,
            air=float(to_model(AIR_HU, region.window)),
            tiling=settings.tiling,
            on_tile=reporter.part,
            control=lesion and lesion.net,
        )
        stages.append(Stage(level, eps, _steps(settings, first=not stages), region))
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
    fraction = restart / start
    return uniform_steps(restart, max(2, round((settings.steps or start + 1) * fraction)))


def as_volume(stage: Stage, frame: Volume, x0: torch.Tensor) -> Volume:
    """An estimate in HU on its level's grid, for a preview."""
    offset, step = (np.array(v[::-1]) for v in (stage.level.offset, stage.level.step))
    direction = np.reshape(frame.direction, (3, 3))
    origin = frame.origin + direction @ (offset * frame.spacing)
    hu = np.where(stage.eps.conditions.labels > 0, to_hu(x0.cpu().numpy(), stage.region.window), AIR_HU)
    return Volume(hu.astype(np.float32), tuple(step * frame.spacing), tuple(origin), frame.direction)


def level_facts(stage: Stage, spacing: tuple[float, float, float]) -> SynthesizedLevel:
    """The facts of a level. spacing: (z, y, x) in mm, of the label map."""
    return SynthesizedLevel(
        level=stage.level.name,
        size=list(stage.level.shape[::-1]),
        spacing_mm=[round(d * s, 3) for d, s in zip(stage.level.step, spacing, strict=True)][::-1],
        timesteps=stage.steps,
        windows=len(stage.eps.active),
        windows_of_air=len(stage.eps.skipped),
    )
