"""A task's settings: the paper's values, unless the model's config holds others that fit its weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from ..errors import InputError
from ..models.loading import Model

Settings = TypeVar("Settings")


def settings_for(
    model: Model, task: str, settings: Settings, quality: str | None = None, overlap: float | None = None
) -> Settings:
    """`settings` (a dataclass) with the values of the config's tasks.TASK, or tasks.TASK.QUALITY, in place of its own.
    overlap: of windows, as asked for, in place of either's.

    InputError for a setting that is none.
    """
    own = model.config.get("tasks", {}).get(task, {})
    own = own if quality is None else own.get(quality, {})
    asked = {} if overlap is None else {"overlap": overlap}
    try:
        return replace(settings, **(own | asked))
    except TypeError:
        raise InputError(
            f"The model {model.name} has settings for {task} that this version does not know ({', '.join(own)}): "
            "update meddiff-fm, or use another model."
        ) from None
