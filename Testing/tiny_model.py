"""A model folder with a tiny network of random weights: but for size and training, all is as in a real one."""

from __future__ import annotations

from pathlib import Path

import torch

from MedDiffFMLib.model_folder import model_config, save_model_folder
from MedDiffFMLib.network import Denoiser, NetworkConfig

TINY = NetworkConfig(
    channels=(8, 8, 16), attention_levels=(False, False, True), head_channels=8, norm_groups=8, patch=32
)


def tiny_network(seed: int = 0) -> Denoiser:
    torch.manual_seed(seed)
    network = Denoiser(TINY)
    with torch.no_grad():  # MONAI starts the last layer at zero, which would hide the rest
        network.unet.out[2].conv.weight.normal_(std=0.05)
    return network.eval()


def tiny_model(folder: Path, name: str = "tiny", **options) -> Path:
    """Save a tiny model as `folder`."""
    return save_model_folder(folder, tiny_network().state_dict(), model_config(name, TINY), **options)
