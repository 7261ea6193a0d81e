"""A task's settings: the paper's values, unless the model's config holds others that fit its weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from ..errors import InputError
from ..inference.tiles import Tiling
from ..models.loading import Model


@dataclass(frozen=True)
class TiledSettings:
    """The settings that every task has: overlap and blending of windows, see `Tiling`."""

    overlap: float = 0.25
    tile_weights: str = "mean"

    @property
    def tiling(self) -> Tiling:
        """The layout of the windows."""
        return Tiling(self.overlap, self.tile_weights)


Settings = TypeVar("Settings", bound=TiledSettings)


def settings_for(
    model: Model, task: str, settings: Settings, quality: str | None = None, overlap: float | None = None
) -> Settings:
    """The settings of a run: `settings`, with the values of the config's tasks.TASK or tasks.TASK.QUALITY in place of
    its own. overlap: of windows, as asked for, in place of either's.

    InputError for a setting that does not exist.
    """
    stored = model.config.get("tasks", {}).get(task, {})
    stored = stored if quality is None else stored.get(quality, {})
    asked = {} if overlap is None else {"overlap": overlap}
    try:
        return replace(settings, **(stored | asked))
    except TypeError:
        raise InputError(
            f"The model {model.name} has settings for {task} that this version does not know ({', '.join(stored)}): "
            "update meddiff-fm, or use another model."
        ) from None
