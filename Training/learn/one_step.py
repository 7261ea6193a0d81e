"""Training of a ControlNet that restores in a single evaluation: beyond the paper (see `tasks.one_step_slices`).

x_t = √ᾱ_t·s at one t, s the cubic spline that keeps the means of the thick slices, no noise. The estimate x̂_0 is
finished as in use: beyond the window the spline stays, and the means are those of the thick slices exactly. The loss is
the error of that, within the body: |e| + 10·e², whose square part leads to the mean of what is possible, the best there
is in PSNR.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from MedDiffFMLib.diffusion.samplers import predict_x0
from MedDiffFMLib.diffusion.slice_operators import project_to_block_means
from MedDiffFMLib.networks.unet import as_eps

from ..data.crop import Crop
from ..data.crop_config import CropConfig
from .batches import TrainingBatch, draw_batch

if TYPE_CHECKING:
    from .trainer import Trainer

SQUARES = 10.0
VALIDATION_SEED = 2024


def one_step_loss(output: torch.Tensor, batch: TrainingBatch, alpha: float, prediction: str) -> torch.Tensor:
    """The loss of each sample, (B,): the mean of |e| + 10·e² within the body.

    output: the network's, (B, 1, Z, Y, X).
    """
    x_t = batch.x_t.to(output.device)
    x0 = predict_x0(x_t, as_eps(output, x_t, alpha, prediction), alpha)
    error = torch.stack([_error(one, crop) for one, crop in zip(x0, batch.crops, strict=True)])
    body = torch.stack([crop.slices.body for crop in batch.crops]).to(output.device).float()
    loss = (error.abs() + SQUARES * error**2) * body
    return loss.sum(dim=(1, 2, 3, 4)) / body.sum(dim=(1, 2, 3, 4)).clamp(min=1)


def _error(x0: torch.Tensor, crop: Crop) -> torch.Tensor:
    """The error of the finished slices, (1, Z, Y, X), in the model's range; 0 where both lie beyond the same end."""
    slices = crop.slices
    thin, spline, thick = (v.to(x0.device) for v in (slices.thin, slices.spline, slices.thick))
    thin_x0 = project_to_block_means(spline + (x0 - spline.clamp(-1, 1)), thick, slices.factor)
    beyond = ((thin >= 1) & (thin_x0 >= 1)) | ((thin <= -1) & (thin_x0 <= -1))
    return torch.where(beyond, torch.zeros_like(thin_x0), thin_x0 - thin.clamp(-1, 1))


def validate_one_step(trainer: Trainer) -> dict[str, float]:
    """The mean loss of the averaged weights on fixed crops of the validation patients."""
    crops: CropConfig = replace(trainer.config.crops, window_jitter_hu=0.0, case_weights=(), turned=())
    config = replace(trainer.config, crops=crops, batch=1, seed=VALIDATION_SEED)
    with trainer.averaged():
        batches = (draw_batch(trainer.validation, config, trainer.schedule, n) for n in range(config.validate_crops))
        losses = [trainer.losses(batch).item() for batch in batches]
    return {"validation/loss": sum(losses) / len(losses)}
