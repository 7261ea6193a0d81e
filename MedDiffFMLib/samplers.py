"""Samplers over whole volumes, each as short as its equations.

All take `epsilon(x_t, t)`, a volume, the schedule, an explicit descending list of timesteps and a `callback(i, t,
x0)` that is told every estimate of x_0 and may raise to stop. ᾱ is looked up in float64; volumes are float32
tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from .schedule import Schedule, check_steps

NoiseEstimate = Callable[[torch.Tensor, int], torch.Tensor]
DataStep = Callable[[torch.Tensor, int], torch.Tensor]
Callback = Callable[[int, int, torch.Tensor], None]


def ignore(i: int, t: int, x0: torch.Tensor) -> None:
    """A callback that does nothing."""


def predict_x0(x_t: torch.Tensor, epsilon: torch.Tensor, alpha_bar: float) -> torch.Tensor:
    """x_0^(t) = (x_t − √(1 − ᾱ_t)·ε_θ)/√ᾱ_t   (paper, eq. 9)."""
    return (x_t - math.sqrt(1 - alpha_bar) * epsilon) / math.sqrt(alpha_bar)


def diffpir(
    epsilon: NoiseEstimate,
    x: torch.Tensor,
    schedule: Schedule,
    steps: Sequence[int],
    data_step: DataStep,
    zeta: float = 0.0,
    generator: torch.Generator | None = None,
    callback: Callback = ignore,
) -> torch.Tensor:
    """DiffPIR (Zhu et al. 2023; paper, III-D1): the prior's x_0, the data step, and back to the noise of the next t.

        x_0 ← predict_x0(x_t),   x̂_0 ← data_step(x_0, t),   ε̂ = (x_t − √ᾱ_t·x̂_0)/√(1 − ᾱ_t)
        x_s = √ᾱ_s·x̂_0 + √(1 − ᾱ_s)·(√(1 − ζ)·ε̂ + √ζ·z),   z ~ N(0, I),  s the next timestep

    x is x_t at steps[0]. Returns x̂_0 of the last step, so with a single step the posterior mean at that t.
    """
    check_steps(steps, schedule.T)
    for i, t in enumerate(steps):
        alpha = float(schedule.alpha_bar[t])
        x0 = data_step(predict_x0(x, epsilon(x, t), alpha), t)
        callback(i, t, x0)
        if t == steps[-1]:
            break
        alpha_next = float(schedule.alpha_bar[steps[i + 1]])
        noise = (x - math.sqrt(alpha) * x0) / math.sqrt(1 - alpha)
        if zeta > 0:
            fresh = torch.randn(x.shape, generator=generator, device="cpu").to(x.device)
            noise = math.sqrt(1 - zeta) * noise + math.sqrt(zeta) * fresh
        x = math.sqrt(alpha_next) * x0 + math.sqrt(1 - alpha_next) * noise
    return x0


def denoising_data_step(y: torch.Tensor, sigma_n: float, weight: float, schedule: Schedule) -> DataStep:
    """x̂_0 = (y_0 + ρ_t·x_0)/(1 + ρ_t) with ρ_t = λσ_n²/σ̄_t²   (paper, eq. 10); `weight` is λ."""

    def step(x0: torch.Tensor, t: int) -> torch.Tensor:
        rho = weight * sigma_n**2 / schedule.sigma_bar(t) ** 2
        return (y + rho * x0) / (1 + rho)

    return step
