"""The training losses (paper, III-B): the formula, and the lines that are it.

Noise and timesteps are drawn with the samples (`batches`); the network is a function of a batch, so that the same lines
serve training and validation, one process and several.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from MedDiffFMLib.diffusion.schedule import Schedule
from MedDiffFMLib.networks.unet import v_target

from ..data.crop import Crop
from .batches import TrainingBatch

SAMPLE = (1, 2, 3, 4)  # the axes of one sample in (B, 1, Z, Y, X)

Network = Callable[[TrainingBatch], torch.Tensor]  # the output for a batch, (B, 1, Z, Y, X)


def diffusion_loss(eps_theta: Network, batch: TrainingBatch, target: torch.Tensor) -> torch.Tensor:
    """The pre-training loss of each sample, (B,): how far the network is from the noise that was added.

    E ‖ε − ε_θ(x_t, t, p_e, c_r, c_a)‖₁,   x_t = √ᾱ_t·x_0 + √(1 − ᾱ_t)·ε   [paper eq. 3]

    target: ε, or v if the network predicts that (`training_target`). Of a scan that was given in part only the voxels
    that were given count.
    """
    return mean_error(eps_theta(batch) - target, given_voxels(batch.crops))


def controlnet_loss(
    eps_theta: Network, batch: TrainingBatch, target: torch.Tensor, kind: str, lesion_weight: float = 1.0
) -> torch.Tensor:
    """The fine-tuning loss of each sample, (B,): the U-Net is locked, its ControlNet is given c_t, the crops' `target`.

    E ‖ε − ε_θ(x_t, t, p_e, c_r, c_a, c_t)‖₁   [paper eq. 4]

    kind: what c_t is, one of `crops.TARGETS`. Where it is a lesion's mask, a voxel of the lesion counts
    `lesion_weight` times.
    """
    weights = lesion_weights(batch.crops, lesion_weight) if kind == "lesion-mask" else None
    return mean_error(eps_theta(batch) - target, weights)


def training_target(batch: TrainingBatch, schedule: Schedule, prediction: str) -> torch.Tensor:
    """The output that the network should have, (B, 1, Z, Y, X): the noise ε (the paper's), or v.

    v = √ᾱ_t·ε − √(1 − ᾱ_t)·x_0   (Salimans & Ho 2022)
    """
    if prediction == "epsilon":
        return batch.eps
    x0 = torch.stack([crop.x0 for crop in batch.crops])
    alpha_bar = torch.from_numpy(schedule.alpha_bar)[batch.t].float().view(-1, 1, 1, 1, 1)
    return v_target(x0, batch.eps, alpha_bar)


def snr_weights(t: torch.Tensor, schedule: Schedule, gamma: float, prediction: str) -> torch.Tensor:
    """The weight of a sample at timestep t, (B,): 1 (the paper; gamma 0), or min-SNR-γ (Hang et al. 2023).

    SNR = ᾱ/(1 − ᾱ);  min(SNR, γ)/SNR where ε is predicted, min(SNR, γ)/(SNR + 1) where v is.
    """
    if not gamma:
        return torch.ones(len(t))
    alpha_bar = torch.from_numpy(schedule.alpha_bar)[t.cpu()]
    snr = alpha_bar / (1 - alpha_bar)
    return (snr.clamp(max=gamma) / (snr if prediction == "epsilon" else snr + 1)).float()


def mean_error(error: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """The mean of |error| over each sample's voxels, (B,); 0 where all of a sample's weights are 0.

    error: (B, 1, Z, Y, X). weights: of the same shape; without them every voxel counts alike.
    """
    error = error.abs()
    if weights is None:
        return error.mean(dim=SAMPLE)
    weights = weights.to(error)
    return (error * weights).sum(dim=SAMPLE) / weights.sum(dim=SAMPLE).clamp(min=1)


def given_voxels(crops: Sequence[Crop]) -> torch.Tensor | None:
    """Bool (B, 1, Z, Y, X): the voxels that the scans were given in; None if all scans are whole."""
    if all(crop.covered is None for crop in crops):
        return None
    whole = torch.ones(crops[0].x0.shape[1:], dtype=torch.bool)
    return torch.stack([whole if crop.covered is None else crop.covered for crop in crops])[:, None]


def lesion_weights(crops: Sequence[Crop], lesion_weight: float) -> torch.Tensor:
    """The weight of each voxel, (B, 1, Z, Y, X): 1, and `lesion_weight` in the crops' lesion masks."""
    return 1 + (lesion_weight - 1) * torch.stack([crop.target for crop in crops])
