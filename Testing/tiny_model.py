"""A tiny network of random weights, and a model folder with it: but for size and training, all is as in a real one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from MedDiffFMLib.models.controlnet_folder import save_controlnet
from MedDiffFMLib.models.folder import model_config, save_model_folder
from MedDiffFMLib.models.refiner_folder import save_refiner
from MedDiffFMLib.networks.controlnet import ControlNet, ControlNetConfig
from MedDiffFMLib.networks.refiner import Refiner, RefinerConfig
from MedDiffFMLib.networks.unet import Denoiser, NetworkConfig
from MedDiffFMLib.refinement.low_dose import LOW_DOSE
from MedDiffFMLib.refinement.thick_slices import THICK_SLICES

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


def save_tiny_model(folder: Path, name: str = "tiny", patch: int = 48, **options) -> Path:
    """Save a tiny model as `folder`, with larger windows, so that a real volume takes seconds."""
    config = model_config(name, dataclasses.replace(TINY, patch=patch))
    return save_model_folder(folder, make_tiny_network().state_dict(), config, **options)


def save_tiny_controls(folder: Path) -> Path:
    """Give the tiny model in `folder` a ControlNet of each kind, of random weights: even the convolutions that start
    at zero, so that another target gives another image.
    """
    torch.manual_seed(1)
    denoiser = make_tiny_network()
    for name, kind in (("super-resolution", "thick-ct"), ("lesion-lung", "lesion-mask")):
        control = ControlNet(TINY, ControlNetConfig(kind=kind))
        control.start_from(denoiser)
        for weights in control.parameters():
            if not weights.any():
                torch.nn.init.normal_(weights, std=0.1)
        save_controlnet(folder, name, control)
    return folder


def save_tiny_refiner(folder: Path, config: RefinerConfig, std: float = 0.1) -> Refiner:
    """Give the model in `folder` a refiner of random weights, its last convolution's too (`std`; 0 for a new one)."""
    torch.manual_seed(2)
    refiner = Refiner(dataclasses.replace(config, channels=(4, 4, 4)))
    torch.nn.init.normal_(refiner.leave.weight, std=std)
    save_refiner(folder, refiner)
    return refiner


def save_full_tiny_model(folder: Path, patch: int = 16) -> Path:
    """A tiny model with all that a model may have: the ControlNets, that of a single evaluation, both refiners."""
    save_tiny_controls(save_tiny_model(folder, patch=patch))
    torch.manual_seed(3)
    control = ControlNet(TINY, ControlNetConfig(kind="thick-slices", direct_t=300))
    control.start_from(make_tiny_network())
    for weights in control.parameters():
        if not weights.any():
            torch.nn.init.normal_(weights, std=0.1)
    save_controlnet(folder, "super-resolution-direct", control)
    save_tiny_refiner(folder, LOW_DOSE)
    save_tiny_refiner(folder, THICK_SLICES)
    return folder
