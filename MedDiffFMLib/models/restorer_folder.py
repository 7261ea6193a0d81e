"""Restorers in a model folder, whatever its weights: `restorers/NAME/config.json` and `model.safetensors`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors
import torch
from safetensors.torch import load_file

from ..errors import InputError
from ..networks.restorer import Restorer, RestorerConfig
from .components import RESTORERS

if TYPE_CHECKING:
    from .loading import Model

LOW_DOSE = "low-dose"  # the name of the one that removes noise


def save_restorer(folder: Path, name: str, restorer: Restorer, training: dict | None = None) -> Path:
    """Write a restorer into a model folder, in float16."""
    return RESTORERS.save(folder, name, restorer, dataclasses.asdict(restorer.config), training, float16=True)


def load_restorer(model: Model, name: str) -> Restorer:
    """A restorer of a loaded model, on its device. InputError if it is not there or not sound."""
    config, weights = RESTORERS.verify(model.folder, name), RESTORERS.weights(model.folder, name)
    try:
        restorer = Restorer(RestorerConfig.from_dict(config))
        restorer.load_state_dict({k: v.float() for k, v in load_file(weights).items()})
    except (KeyError, TypeError, ValueError, RuntimeError, OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{weights} does not fit its config.json: get the model again.") from error
    return restorer.eval().requires_grad_(False).to(model.device, memory_format=torch.channels_last)
