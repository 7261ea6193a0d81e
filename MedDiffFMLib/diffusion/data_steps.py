"""Data steps: they correct every estimate of x_0 by what a task knows of its image (paper, III-D)."""

from __future__ import annotations

from collections.abc import Callable

import torch

from .samplers import DataStep, clip
from .schedule import Schedule

Projection = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def denoising_data_step(y: torch.Tensor, sigma_n: float, lam: float, schedule: Schedule) -> DataStep:
    """The step of denoising, x̂_0 = (y_0 + ρ_t·x_0)/(1 + ρ_t) with ρ_t = λσ_n²/σ̄_t²   [paper eq. 10]; `lam` is λ."""

    def step(x0: torch.Tensor, t: int) -> torch.Tensor:
        rho = lam * sigma_n**2 / schedule.sigma_bar(t) ** 2
        return (y + rho * x0) / (1 + rho)

    return step


def super_resolution_data_step(
    y: torch.Tensor,
    project: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    sigma_n: float,
    lam: float,
    schedule: Schedule,
) -> DataStep:
    """The data step of super-resolution: x̂_0 = x_0 + H⁺(y_0 − H·x_0)/(1 + ρ_t) with ρ_t = λσ_n²/σ̄_t²   [paper eq.
    12, where H is the plain mean and H⁺ its transpose, as H·Hᵀ = I].

    `lam` is λ; y: the thick slices; project(x_0, y): x_0 + H⁺(y − H·x_0). x_0 is first clipped to the model's range,
    since the walk begins where a small error of ε is a large one of x_0.
    """

    def step(x0: torch.Tensor, t: int) -> torch.Tensor:
        x0 = clip(x0, t)
        rho = lam * sigma_n**2 / schedule.sigma_bar(t) ** 2
        return x0 + (project(x0, y) - x0) / (1 + rho)

    return step
