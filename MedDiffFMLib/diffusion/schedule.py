"""The noise schedule: ᾱ_t of the cosine schedule, lists of timesteps, and the forward process, in float64.

Tables of our own, because library schedulers keep them in the network's precision and disagree with themselves when
steps are skipped: a sampler here takes an explicit, descending list of timesteps and looks ᾱ up.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

T_START = 990  # of 1000: where sampling begins. ᾱ[999] is 2e-9; there an error of ε is 20 000 times as large in x_0


@dataclass(frozen=True)
class Schedule:
    """A discrete diffusion schedule. `alpha_bar` has shape (T,), float64, descending; index t = 0 … T−1."""

    alpha_bar: np.ndarray

    @property
    def T(self) -> int:
        """The number of timesteps."""
        return len(self.alpha_bar)

    def sigma_bar(self, t: int) -> float:
        """The noise level σ̄_t = √((1 − ᾱ_t)/ᾱ_t) of x_t/√ᾱ_t, in units of the normalized image."""
        return math.sqrt((1.0 - self.alpha_bar[t]) / self.alpha_bar[t])

    def t_of_sigma(self, sigma: float) -> int:
        """The timestep whose σ̄_t is nearest to `sigma` (paper, III-D1: σ_n = σ̄_t gives t_start). ValueError if
        sigma ≤ 0.
        """
        if not sigma > 0:
            raise ValueError(f"sigma must be positive, got {sigma}")
        sigma_bar = np.sqrt((1.0 - self.alpha_bar) / self.alpha_bar)
        return int(np.argmin(np.abs(np.log(sigma_bar) - math.log(sigma))))


def add_noise(x0: torch.Tensor, t: int, schedule: Schedule, noise: torch.Tensor) -> torch.Tensor:
    """The noisy image x_t, x_0 with the noise of timestep t: the forward process, accumulated over its steps.

    x_t = √ᾱ_t·x_0 + √(1 − ᾱ_t)·z,   z ~ N(0, I)   [paper eq. 1]
    """
    abar = float(schedule.alpha_bar[t])
    return math.sqrt(abar) * x0 + math.sqrt(1 - abar) * noise


def predict_eps(x_t: torch.Tensor, x0: torch.Tensor | float, abar: float) -> torch.Tensor:
    """The noise ε that x_t holds if its clean image is x_0: the inverse of `samplers.predict_x0`.

    ε = (x_t − √ᾱ_t·x_0)/√(1 − ᾱ_t)   [paper eq. 1]
    """
    return (x_t - math.sqrt(abar) * x0) / math.sqrt(1 - abar)


def cosine_schedule(T: int = 1000, offset: float = 0.008, max_beta: float = 0.999) -> Schedule:
    """The cosine schedule (Nichol & Dhariwal 2021, eq. 17): ᾱ from f(t) = cos²((t/T + s)/(1 + s) · π/2), β clipped
    at 0.999.

    With T = 1000, ᾱ[999] = 2.4e-9 and σ̄ = 0.15 at t = 87.
    """

    def f(t: int) -> float:
        return math.cos((t / T + offset) / (1 + offset) * math.pi / 2) ** 2

    beta = np.array([min(1.0 - f(t + 1) / f(t), max_beta) for t in range(T)], dtype=np.float64)
    return Schedule(np.cumprod(1.0 - beta))


def uniform_steps(t_start: int, count: int) -> list[int]:
    """The list of `count` timesteps from `t_start` down to 0, evenly spaced, without repeats: the last is always 0.

    ValueError if t_start < 0 or count < 1. With count = 1 the list is [t_start] alone: one estimate, no walk.
    """
    if t_start < 0 or count < 1:
        raise ValueError(f"need t_start >= 0 and count >= 1, got {t_start} and {count}")
    if count == 1:
        return [t_start]
    steps = np.rint(np.linspace(t_start, 0, min(count, t_start + 1))).astype(int)
    return [int(t) for t in steps]


def quadratic_steps(t_start: int, count: int) -> list[int]:
    """The list of `count` timesteps from `t_start` down to 0, t ∝ i² (Song et al. 2021, appendix D.2): close together
    at little noise, where fine detail is made; a few fewer where rounding makes two the same. ValueError as
    `uniform_steps`.

    A stochastic walk of few steps makes too little variance. On a Gaussian image of σ = 0.19 in the model's range,
    RePaint (10 times a step) leaves 0.145 with 50 uniform steps, 0.170 with 50 of these.
    """
    if t_start < 0 or count < 1:
        raise ValueError(f"need t_start >= 0 and count >= 1, got {t_start} and {count}")
    if count == 1:
        return [t_start]
    steps = np.rint(t_start * np.linspace(1, 0, min(count, t_start + 1)) ** 2).astype(int)
    return [int(t) for t in dict.fromkeys(steps)]


def trailing_steps(t_start: int, count: int) -> list[int]:
    """The list of `count` timesteps t_start·i/count, i = count … 1: evenly spaced, the last leads to the clean image,
    so that none is spent at t = 0 (Lin et al. 2024, table 2, "trailing"). ValueError as `uniform_steps`.

    Every list is contained in that of twice the count: its steps are two of that one. Distilled models walk it.
    """
    if t_start < 1 or count < 1:
        raise ValueError(f"need t_start >= 1 and count >= 1, got {t_start} and {count}")
    count = min(count, t_start)
    return [int(t) for t in np.rint(t_start * np.arange(count, 0, -1) / count)]


def check_steps(steps: Sequence[int], T: int) -> None:
    """Check timesteps: ValueError unless `steps` is a non-empty, strictly descending list of timesteps in [0, T)."""
    if not steps or not all(a > b for a, b in itertools.pairwise(steps)) or steps[0] >= T or steps[-1] < 0:
        raise ValueError(f"timesteps must descend strictly within [0, {T}), got {list(steps)[:5]}…")
