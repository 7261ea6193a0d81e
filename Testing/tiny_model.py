"""A tiny network of random weights, and a model folder with it: but for size and training, all is as in a real one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from MedDiffFMLib.model_folder import model_config, save_model_folder
from MedDiffFMLib.network import Denoiser, NetworkConfig

TINY = NetworkConfig(
    channels=(8, 8, 16), attention_levels=(False, False, True), head_channels=8, norm_groups=8, patch=16
)


def make_tiny_network() -> Denoiser:
    """A network with the real one's parts, random weights, and an output that is not zero, as MONAI starts it."""
    torch.manual_seed(0)
    network = Denoiser(TINY)
    for weights in network.unet.out.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    return network.eval().requires_grad_(False)


def save_tiny_model(folder: Path, name: str = "tiny", **options) -> Path:
    """Save a tiny model as `folder`, with larger windows, so that a real volume takes seconds."""
    config = model_config(name, dataclasses.replace(TINY, patch=48))
    return save_model_folder(folder, make_tiny_network().state_dict(), config, **options)
