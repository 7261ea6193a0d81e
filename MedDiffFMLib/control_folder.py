"""ControlNets in a model folder: `controlnets/NAME/config.json` and `model.safetensors`, each made for that model's
weights.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors
import torch
from safetensors.torch import load_file, save_file

from .control import Control, ControlConfig
from .errors import InputError
from .model_folder import CONFIG, WEIGHTS, sha256_of
from .network import NetworkConfig
from .regions import REGIONS

if TYPE_CHECKING:
    from .models import Model

FOLDER = "controlnets"


def control_names(folder: Path) -> list[str]:
    """The names of the ControlNets in a model folder, sorted."""
    return sorted(config.parent.name for config in (folder / FOLDER).glob(f"*/{CONFIG}"))


def save_control(
    folder: Path, name: str, control: Control, training: dict | None = None, float16: bool = False
) -> Path:
    """Write a ControlNet into the model folder that it was trained with, whole or not at all; replaces one of that
    name.

    training: data, steps and whatever else tells how the weights came to be. InputError if weights are not finite.
    """
    model = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    target = folder / FOLDER / name
    part = target.with_name(f".{name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        dtype = torch.float16 if float16 else torch.float32
        tensors = {k: v.detach().cpu().to(dtype).contiguous() for k, v in control.state_dict().items()}
        if not all(torch.isfinite(v).all() for v in tensors.values()):
            raise InputError(f"The ControlNet {name} holds values that are not finite: save an earlier checkpoint.")
        save_file(tensors, part / WEIGHTS, metadata={"format": "pt"})
        config = {
            "name": name,
            "kind": control.config.kind,
            "target_channels": control.config.target_channels,
            "encoder_channels": list(control.config.encoder_channels),
            "direct_t": control.config.direct_t,
            "base_sha256": model["weights"]["sha256"],
            "weights": {"file": WEIGHTS, "sha256": sha256_of(part / WEIGHTS), "dtype": str(dtype).split(".")[-1]},
            "training": training or {},
        }
        (part / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        os.replace(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def read_control_config(folder: Path, name: str) -> dict:
    """config.json of a ControlNet. InputError if it cannot be read."""
    file = folder / FOLDER / name / CONFIG
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} is damaged or not a ControlNet's: get the model again.") from error


def verify_control(folder: Path, name: str) -> dict:
    """The config of a ControlNet whose weights have their checksum and belong to the folder's model; else
    InputError.
    """
    place = folder / FOLDER / name
    if not (place / CONFIG).is_file() or not (place / WEIGHTS).is_file():
        known = ", ".join(control_names(folder)) or "none"
        raise InputError(
            f"The model {folder.name} has no ControlNet {name!r} (it has {known}): choose one of them or another model."
        )
    config = read_control_config(folder, name)
    try:
        checksum, base = config["weights"]["sha256"], config["base_sha256"]
        model = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["weights"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{place / CONFIG} is damaged or not a ControlNet's: get the model again.") from error
    if sha256_of(place / WEIGHTS) != checksum:
        raise InputError(
            f"{place / WEIGHTS} does not have the checksum that config.json states, so it is damaged or was changed: "
            "get the model again."
        )
    if base != model:
        raise InputError(
            f"The ControlNet {name!r} in {folder} was trained for other weights than those beside it: "
            "get model and ControlNets together."
        )
    return config


def load_control(model: Model, name: str) -> Control:
    """A ControlNet of a loaded model, on its device, ready to predict. InputError if it is not there or not sound."""
    config = verify_control(model.folder, name)
    weights = model.folder / FOLDER / name / WEIGHTS
    try:
        architecture = NetworkConfig.from_dict(model.config["architecture"])
        control = Control(architecture, ControlConfig.from_dict(config), region_count=len(REGIONS))
        control.load_state_dict({k: v.float() for k, v in load_file(weights).items()})
    except (KeyError, TypeError, ValueError, RuntimeError, OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{weights} does not fit its config.json: get the model again.") from error
    return control.eval().requires_grad_(False).to(model.device)
