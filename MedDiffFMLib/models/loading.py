"""Find, verify and load a model, and choose where and in which precision it computes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from ..diffusion.schedule import Schedule
from ..networks.unet import Denoiser
from .config import verify
from .device import choose_device, choose_dtype
from .folder import load_network, read_schedule
from .store import find_model


@dataclass(frozen=True)
class Model:
    """A loaded model. `dtype` is what the network computes in (autocast; the weights stay float32, the schedule
    float64).

    `config` is the folder's config.json; `source` tells where it was found (see `models.store.Found`).
    """

    name: str
    folder: Path
    source: str
    config: dict
    network: Denoiser
    schedule: Schedule
    device: torch.device
    dtype: torch.dtype
    sha256: str


def load_model(
    name_or_path: str | os.PathLike | None = None, device: str | None = None, precision: str = "auto"
) -> Model:
    """Load a model: a folder, an installed name, a Hub id OWNER/NAME[@REVISION], or (None) the best installed one.

    device: auto (or None), cpu, cuda or cuda:N. precision: auto, float32, bfloat16 or float16. The weights' checksum
    is verified; no pickle is ever read. InputError says what is wrong and what to do.
    """
    where = choose_device(device)
    dtype = choose_dtype(precision, where)
    found = find_model(name_or_path)
    config = verify(found.folder)
    schedule = read_schedule(found.folder, config)
    network = load_network(found.folder, config).to(where)
    checksum = config["weights"]["sha256"]
    return Model(config["name"], found.folder, found.source, config, network, schedule, where, dtype, checksum)
