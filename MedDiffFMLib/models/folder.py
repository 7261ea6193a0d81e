"""A model on disk: `config.json`, `model.safetensors`, `README.md`. Written whole, read with its checksum (see
`model_config`); never a pickle.

config.json: format, name, architecture (of `NetworkConfig`), conditions (position frequencies, anatomy planes, region
classes with their HU windows), schedule (kind, T and ᾱ in float64), tasks (each task's defaults found in validation),
training (data, steps, settings), licence, weights (file, SHA-256, type of numbers), self_test (see `self_test_record`).
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors.torch import load_file, save_file

from ..anatomy.regions import REGIONS
from ..atomic import DAY, hidden_name, remove_partial_files, whole_file
from ..diffusion.schedule import Schedule, cosine_schedule
from ..errors import InputError
from ..networks.unet import Denoiser, NetworkConfig
from .config import CARD, CONFIG, FORMAT, WEIGHTS, conditions, read_config, sha256_of


def model_config(
    name: str,
    architecture: NetworkConfig,
    schedule: Schedule | None = None,
    tasks: dict | None = None,
    training: dict | None = None,
    licence: str = "Apache-2.0",
) -> dict:
    """The config of a model of this version's conditions; `save_model_folder` adds the weights' checksum.

    tasks: per task, defaults found in validation, for example {"denoise": {"sigma_scale": 1.1}}. training: data, steps
    and whatever else documents the training.
    """
    schedule = schedule or cosine_schedule()
    return {
        "format": FORMAT,
        "name": name,
        "licence": licence,
        "architecture": {
            k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(architecture).items()
        },
        "conditions": conditions(architecture.anatomy_code),
        "schedule": {"kind": "cosine", "T": schedule.T, "alpha_bar": schedule.alpha_bar.tolist()},
        "tasks": tasks or {},
        "training": training or {},
    }


def save_model_folder(
    folder: Path,
    state: dict[str, torch.Tensor],
    config: dict,
    card: str = "",
    float16: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write a model folder, whole or not at all, and return it.

    state: the weights of `Denoiser(architecture)`; config: of `model_config`; card: the README's text (a short one is
    made if empty). float16 halves the size. InputError if the folder exists without `overwrite`, or holds anything but
    a model, or the weights do not fit or are not finite.
    """
    folder = Path(folder)
    _check_replaceable(folder, overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_partial_files(folder.parent, older_than=DAY)
    part = hidden_name(folder, "")
    part.mkdir()
    try:
        tensors = {
            k: v.detach().cpu().to(torch.float16 if float16 else torch.float32).contiguous() for k, v in state.items()
        }
        if not all(torch.isfinite(v).all() for v in tensors.values()):
            raise InputError(
                f"The weights for {folder} hold values that are not finite numbers: save an earlier checkpoint."
            )
        _network(config, tensors, folder)
        save_file(tensors, part / WEIGHTS, metadata={"format": "pt"})
        weights = {"file": WEIGHTS, "sha256": sha256_of(part / WEIGHTS), "dtype": "float16" if float16 else "float32"}
        (part / CONFIG).write_text(_to_json(config | {"weights": weights}), encoding="utf-8")
        (part / CARD).write_text(card or _short_card(config), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _check_replaceable(folder: Path, overwrite: bool) -> None:
    """Check that a model may be written there: InputError if the folder exists without `overwrite`, or holds anything
    but a model.
    """
    if not folder.exists():
        return
    if not overwrite:
        raise InputError(f"{folder} exists: choose another folder or allow overwriting.")
    if not (folder / CONFIG).is_file() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder} holds other things than a model and is not replaced: choose another folder.")


def set_in_config(folder: Path, key: str, value: object) -> None:
    """Replace one entry of a model folder's config.json, whole or not at all. InputError if it cannot be written."""
    config = read_config(folder) | {key: value}
    with whole_file(folder / CONFIG) as part:
        part.write_text(_to_json(config), encoding="utf-8")


def _to_json(config: dict) -> str:
    """The config as indented JSON, the thousand numbers of ᾱ in one line. JSON keeps a float64 exactly."""
    mark = "ᾱ"
    schedule = config["schedule"] | {"alpha_bar": mark}
    text = json.dumps(config | {"schedule": schedule}, indent=2, ensure_ascii=False)
    return text.replace(f'"{mark}"', json.dumps(config["schedule"]["alpha_bar"])) + "\n"


def _short_card(config: dict) -> str:
    """The README of a model that has none of its own."""
    notice = "For research only: not a medical device."
    return f"# {config['name']}\n\nA MedDiff-FM model. License: {config['licence']}. {notice}\n"


def load_network(folder: Path, config: dict) -> Denoiser:
    """The network with its weights as float32 on the CPU, ready to predict. InputError if weights and config do not
    fit.
    """
    try:
        tensors = load_file(folder / WEIGHTS)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{folder / WEIGHTS} cannot be read as safetensors: get the model again.") from error
    return _network(config, tensors, folder)


def _network(config: dict, tensors: dict[str, torch.Tensor], folder: Path) -> Denoiser:
    """The network of a config with these weights. InputError, naming the folder, if they do not fit."""
    try:
        network = Denoiser(NetworkConfig.from_dict(config["architecture"]), region_count=len(REGIONS))
        network.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"The weights of {folder} do not fit the architecture in its config.json: get the model again."
        ) from error
    return network.eval().requires_grad_(False)


def read_schedule(folder: Path, config: dict) -> Schedule:
    """The noise schedule of a config, ᾱ in float64. InputError unless it is a descending list of numbers between 0 and
    1.
    """
    try:
        alpha_bar = np.array(config["schedule"]["alpha_bar"], dtype=np.float64)
    except (KeyError, TypeError, ValueError):
        alpha_bar = np.empty(0)
    if (
        alpha_bar.ndim != 1
        or len(alpha_bar) < 2
        or not (np.diff(alpha_bar) < 0).all()
        or not 1 > alpha_bar[0] > alpha_bar[-1] > 0
    ):
        raise InputError(f"The schedule in {folder / CONFIG} is not a descending list of ᾱ: get the model again.")
    return Schedule(alpha_bar)
