"""The samples of a run: crops, noise and timesteps, all drawn from (seed, number of the sample).

So a run that was killed and resumed sees the same samples as an uninterrupted one, and several processes together see
the same as one process with a larger batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from MedDiffFMLib.diffusion.schedule import Schedule, add_noise, predict_eps

from ..data.crop import Crop
from ..data.crop_config import CropConfig
from ..data.crops import draw_crop
from ..data.noise import ct_noise
from ..data.store import Case
from ..data.thick_crops import draw_factor, draw_thick_crop
from .config import PretrainConfig


def draw_timestep(rng: np.random.Generator, config: PretrainConfig, schedule: Schedule) -> int:
    """Draw a timestep: t uniform in [0, T), or for a share of the samples σ̄_t log-uniform over CT's noise."""
    if rng.random() < config.low_noise:
        return schedule.t_of_sigma(math.exp(rng.uniform(*np.log(config.low_sigma))))
    return int(rng.integers(schedule.T))


def draw_noise(rng: np.random.Generator, config: PretrainConfig, schedule: Schedule, crop: Crop, t: int) -> np.ndarray:
    """Draw white noise; for a share of the scans' own crops at CT's noise levels, noise correlated as CT's is."""
    fits = crop.level == "own" and schedule.sigma_bar(t) <= config.low_sigma[1]
    if fits and rng.random() < config.ct_noise:
        return ct_noise(rng, crop.x0.shape)
    return rng.standard_normal(crop.x0.shape, dtype=np.float32)


@dataclass
class TrainingBatch:
    """A batch of samples of one pass: x_t and ε (B, 1, Z, Y, X), t (B,), and the crops with their conditions."""

    x_t: torch.Tensor
    eps: torch.Tensor
    t: torch.Tensor
    crops: list[Crop]


def draw_batch(
    cases: Sequence[Case], config: PretrainConfig, schedule: Schedule, first: int, crops: CropConfig | None = None
) -> TrainingBatch:
    """Draw the samples first … first + batch − 1 of the run, cut by `crops` (default: `config.crops`)."""
    crops = crops or config.crops
    if crops.target == "thick-slices":
        return one_step_batch(cases, config, schedule, first, crops)
    drawn = []
    for number in range(first, first + config.batch):
        rng = np.random.default_rng([config.seed, number])
        crop = draw_crop(rng, cases, crops)
        t = draw_timestep(rng, config, schedule)
        eps = torch.from_numpy(draw_noise(rng, config, schedule, crop, t))
        drawn.append((add_noise(crop.x0, t, schedule, eps), eps, t, crop))
    noisy, noises, times, kept = zip(*drawn, strict=True)
    return TrainingBatch(torch.stack(noisy), torch.stack(noises), torch.tensor(times), list(kept))


def one_step_batch(
    cases: Sequence[Case], config: PretrainConfig, schedule: Schedule, first: int, crops: CropConfig
) -> TrainingBatch:
    """Draw samples of a ControlNet that restores in one evaluation, all of one factor: x_t = √ᾱ_t·s, s the spline
    through the thick slices, without noise. ε is the noise that leads there from x_0.
    """
    factor = draw_factor(np.random.default_rng([config.seed, first, 0]), crops)
    divisor = 2 ** (len(config.network.channels) - 1)
    rngs = [np.random.default_rng([config.seed, number]) for number in range(first, first + config.batch)]
    drawn = [draw_thick_crop(rng, cases, crops, factor, divisor) for rng in rngs]
    alpha = float(schedule.alpha_bar[config.direct_t])
    x_t = torch.stack([math.sqrt(alpha) * crop.slices.spline.clamp(-1, 1) for crop in drawn])
    x0 = torch.stack([crop.x0 for crop in drawn])
    return TrainingBatch(x_t, predict_eps(x_t, x0, alpha), torch.full((config.batch,), config.direct_t), drawn)


class StepBatches(Dataset):
    """The batches of each step of a run, by the step's number, for a DataLoader to draw ahead in its workers.

    Of `count` processes the one of number `rank` gets its share: a pass of all of them together has the samples of one
    pass of `count` times the batch.
    """

    def __init__(
        self, cases: Sequence[Case], config: PretrainConfig, schedule: Schedule, rank: int = 0, count: int = 1
    ):
        self.cases, self.config, self.schedule, self.rank, self.count = cases, config, schedule, rank, count

    def __len__(self) -> int:
        return self.config.steps

    def __getitem__(self, step: int) -> list[TrainingBatch]:
        a_pass = self.config.batch * self.count
        start = step * self.config.accumulate * a_pass + self.rank * self.config.batch
        firsts = [start + i * a_pass for i in range(self.config.accumulate)]
        crops = self.config.crops_at(step)
        return [draw_batch(self.cases, self.config, self.schedule, first, crops) for first in firsts]
