"""ControlNets in a model folder: `controlnets/NAME/config.json` and `model.safetensors`, each made for that model's
weights.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors
from safetensors.torch import load_file

from ..anatomy.regions import REGIONS
from ..errors import InputError
from ..networks.controlnet import ControlNet, ControlNetConfig
from ..networks.unet import NetworkConfig
from .components import CONTROLNETS

if TYPE_CHECKING:
    from .loading import Model


def controlnet_names(folder: Path) -> list[str]:
    """The names of the ControlNets in a model folder, sorted."""
    return CONTROLNETS.names(folder)


def save_controlnet(
    folder: Path, name: str, control: ControlNet, training: dict | None = None, float16: bool = False
) -> Path:
    """Write a ControlNet into the model folder that it was trained with (see `Component.save`)."""
    facts = {
        "kind": control.config.kind,
        "target_channels": control.config.target_channels,
        "encoder_channels": list(control.config.encoder_channels),
        "direct_t": control.config.direct_t,
    }
    return CONTROLNETS.save(folder, name, control, facts, training, float16)


def load_controlnet(model: Model, name: str) -> ControlNet:
    """A ControlNet of a loaded model, on its device, ready to predict. InputError if it is not there or not sound."""
    config = CONTROLNETS.verify(model.folder, name)
    weights = CONTROLNETS.weights(model.folder, name)
    try:
        architecture = NetworkConfig.from_dict(model.config["architecture"])
        control = ControlNet(architecture, ControlNetConfig.from_dict(config), region_count=len(REGIONS))
        control.load_state_dict({k: v.float() for k, v in load_file(weights).items()})
    except (KeyError, TypeError, ValueError, RuntimeError, OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{weights} does not fit its config.json: get the model again.") from error
    return control.eval().requires_grad_(False).to(model.device)


def check_kind(model: Model, name: str, control: ControlNet, kinds: Collection[str]) -> ControlNet:
    """The given ControlNet, if its input is one of `kinds` (see `ControlNetConfig`; without any, of any kind); else
    InputError.
    """
    if kinds and control.config.kind not in kinds:
        raise InputError(
            f"The ControlNet {name!r} of the model {model.name} takes {control.config.kind!r} and cannot be used for "
            f"{' or '.join(kinds)}: export it under another name, or use another model."
        )
    return control
