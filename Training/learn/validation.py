"""Validation of the averaged weights on patients that they never saw, in a number and in pictures.

Crops, noise and timesteps are the same at every step and in every run, so that the figures can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from MedDiffFMLib.diffusion.samplers import clip, ddim, predict_x0
from MedDiffFMLib.diffusion.schedule import T_START, add_noise, uniform_steps
from MedDiffFMLib.networks.unet import as_eps

from ..data.crop import Crop
from ..data.crops import draw_crop, has_target
from ..data.store import Case
from .batches import TrainingBatch
from .one_step import validate_one_step
from .trainer import T_BANDS, Trainer

TIMESTEPS = (15, 60, 200, 650)  # one in each of T_BANDS
SEED = 2024
PICTURES = 2
PICTURED = (100, 400, 800)
DDIM_STEPS = 20


def cases_with_target(cases: Sequence[Case], target: str) -> list[Case]:
    """The cases that a run can be validated with: those that have the input of a ControlNet."""
    return [case for case in cases if has_target(case, target)]


def fixed_crops(trainer: Trainer, count: int) -> list[tuple[Crop, torch.Tensor]]:
    """A list of `count` crops of the validation patients, each with its noise (1, Z, Y, X)."""
    plain = {"window_jitter_hu": 0.0, "case_weights": (), "zoom": (1.0, 1.0), "mirrored": (), "hu_gain": 0.0}
    config = replace(trainer.config.crops, **plain)
    drawn = []
    for number in range(count):
        rng = np.random.default_rng([SEED, number])
        crop = draw_crop(rng, trainer.validation, config)
        drawn.append((crop, torch.from_numpy(rng.standard_normal(crop.x0.shape, dtype=np.float32))))
    return drawn


def _noisy(trainer: Trainer, crop: Crop, eps: torch.Tensor, t: int) -> TrainingBatch:
    return TrainingBatch(add_noise(crop.x0, t, trainer.schedule, eps)[None], eps[None], torch.tensor([t]), [crop])


def validate(trainer: Trainer) -> dict[str, float]:
    """The mean unweighted loss of the averaged weights, all timesteps alike, and that at each timestep."""
    if trainer.config.crops.target == "thick-slices":
        return validate_one_step(trainer)
    losses: dict[int, list[float]] = {t: [] for t in TIMESTEPS}
    with trainer.averaged():
        for crop, eps in fixed_crops(trainer, trainer.config.validate_crops):
            for t in TIMESTEPS:
                losses[t].append(trainer.losses(_noisy(trainer, crop, eps, t)).item())
    bands = {
        f"validation/t<{band}": sum(losses[t]) / len(losses[t]) for t, band in zip(TIMESTEPS, T_BANDS, strict=True)
    }
    return {"validation/loss": sum(bands.values()) / len(bands)} | bands


def pictures(trainer: Trainer) -> dict[str, np.ndarray]:
    """Central axial slices (H, W) in [0, 1]: x_t above x̂_0 for some t; last, the truth above a sample made by DDIM of
    the same conditions from noise alone. None for a ControlNet of a single evaluation.
    """
    if trainer.config.crops.target == "thick-slices":
        return {}
    panels = {}
    with trainer.averaged():
        for number, (crop, eps) in enumerate(fixed_crops(trainer, PICTURES)):
            columns = []
            for t in PICTURED:
                x_t = add_noise(crop.x0, t, trainer.schedule, eps)
                columns.append((x_t, _x0(trainer, crop, x_t, t)))
            columns.append((crop.x0, _sample(trainer, crop, eps)))
            rows = [np.concatenate([_slice(column[row]) for column in columns], axis=1) for row in (0, 1)]
            panels[f"validation crop {number}"] = np.concatenate(rows, axis=0)
    return panels


def _eps(trainer: Trainer, crop: Crop, x_t: torch.Tensor, t: int) -> torch.Tensor:
    """ε̂ (1, Z, Y, X) of one x_t under the crop's conditions."""
    output = trainer.estimate(TrainingBatch(x_t[None], x_t[None], torch.tensor([t]), [crop]))[0].cpu()
    return as_eps(output, x_t, float(trainer.schedule.alpha_bar[t]), trainer.config.network.prediction)


def _x0(trainer: Trainer, crop: Crop, x_t: torch.Tensor, t: int) -> torch.Tensor:
    return predict_x0(x_t, _eps(trainer, crop, x_t, t), float(trainer.schedule.alpha_bar[t]))


def _sample(trainer: Trainer, crop: Crop, noise: torch.Tensor) -> torch.Tensor:
    steps = uniform_steps(T_START, DDIM_STEPS)
    return ddim(lambda x, t: _eps(trainer, crop, x, t), noise, trainer.schedule, steps, data_step=clip)


def _slice(volume: torch.Tensor) -> np.ndarray:
    """The central axial slice of (1, Z, Y, X), anterior up, as a gray picture."""
    return np.clip((volume[0, volume.shape[1] // 2].numpy()[::-1] + 1) / 2, 0, 1)
