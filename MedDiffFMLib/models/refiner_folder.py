"""Refiners in a model folder, made for its weights: `refiners/KIND/config.json` and `model.safetensors`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors
import torch
from safetensors.torch import load_file

from ..errors import InputError
from ..networks.refiner import Refiner, RefinerConfig
from .components import REFINERS

if TYPE_CHECKING:
    from .loading import Model


def save_refiner(folder: Path, refiner: Refiner, training: dict | None = None, float16: bool = False) -> Path:
    """Write a refiner into the model folder whose estimates it was trained on, named by its kind."""
    config = refiner.config
    return REFINERS.save(folder, config.kind, refiner, dataclasses.asdict(config), training, float16)


def load_refiner(model: Model, kind: str) -> Refiner:
    """A refiner of a loaded model, on its device. InputError if it is not there or not sound."""
    config = REFINERS.verify(model.folder, kind)
    weights = REFINERS.weights(model.folder, kind)
    try:
        refiner = Refiner(RefinerConfig.from_dict(config))
        refiner.load_state_dict({k: v.float() for k, v in load_file(weights).items()})
    except (KeyError, TypeError, ValueError, RuntimeError, OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{weights} does not fit its config.json: get the model again.") from error
    return refiner.eval().requires_grad_(False).to(model.device, memory_format=torch.channels_last)
