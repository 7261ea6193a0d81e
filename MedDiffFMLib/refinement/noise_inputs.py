"""Denoising by a restorer: its inputs, and how its output is used. Beyond the paper.

    x̂ = y − σ·f(d, …),   d = (y − m)/σ(x) of 7 slices,   m: the middle slice's mean of about 4 mm

All that f sees of the scan are differences in units of the noise, so that y + c is answered by x̂ + c, and a·y, whose
noise is a·σ, by a·x̂, but for two channels that tell what tissue and how much noise it is; in training they are often
left out. No HU window, nothing clipped: all tissues in one pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..anatomy.regions import REGIONS
from ..networks.refiner import apply_slabwise, at
from ..networks.restorer import Restorer, on_any_size
from .noise_map import NoiseMap, gaussian_mean
from .trained_range import TrainedRange

NEIGHBORS = 3  # slices on either side
INPUTS = 2 * NEIGHBORS + 1 + 5
MEAN_MM, MEAN_PIXELS = 4.0, 4.0  # standard deviation of m's Gaussian, the larger of both: m is to have little noise
LINEAR = 8.0  # σ: larger differences count by their logarithm
SLICE_MM, PIXEL_MM = (0.5, 8.0), (0.4, 3.0)  # what f is told lies within; it was never trained beyond
TRAINED = TrainedRange(dict.fromkeys(REGIONS, (4.0, 100.0)), (0.3, 1.5), PIXEL_MM, SLICE_MM)
USUAL_SIGMA_HU, USUAL_GRAIN, USUAL_SLICE_MM, USUAL_PIXEL_MM = 20.0, 0.5, 2.5, 0.9  # where their channels are 0


@dataclass(frozen=True)
class NoiseInputs:
    """A scan y (Z, Y, X) in HU with its noise. spacing: mm (z, y, x); absolute: whether f is told HU and σ."""

    y: torch.Tensor
    sigma: NoiseMap
    grain: float
    spacing: tuple[float, float, float]
    absolute: bool = True

    def features(self, z: torch.Tensor) -> torch.Tensor:
        """The inputs of f for the slices z (n,): (n, INPUTS, Y, X)."""
        mean, sigma = gaussian_mean(at(self.y, z), max(MEAN_MM / self.spacing[1], MEAN_PIXELS)), self.sigma.at(z)
        offsets = range(-NEIGHBORS, NEIGHBORS + 1)
        differences = [compand((at(self.y, z + offset) - mean) / sigma) for offset in offsets]
        told = [torch.asinh(mean / 150), torch.log(sigma / USUAL_SIGMA_HU)]
        told = told if self.absolute else [torch.zeros_like(mean)] * 2
        facts = (
            math.log(self.grain / USUAL_GRAIN),
            math.log(min(max(self.spacing[0], SLICE_MM[0]), SLICE_MM[1]) / USUAL_SLICE_MM),
            math.log(min(max(self.spacing[1], PIXEL_MM[0]), PIXEL_MM[1]) / USUAL_PIXEL_MM),
        )
        return torch.stack([*differences, *told, *(torch.full_like(mean, fact) for fact in facts)], dim=1)

    def restored(
        self,
        restorer: Restorer,
        mirrored: int = 1,
        on_part: Callable[[int, int], None] = lambda done, total: None,
        spread: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """x̂, float32 (Z, Y, X) in HU. restorer: may be compiled; mirrored, on_part: see `apply_slabwise`. spread:
        takes, if given, the standard deviation of x̂ over the orientations, in HU.
        """
        noise = apply_slabwise(on_any_size(restorer), self.features, self.y, mirrored, on_part, spread)
        for z in torch.arange(len(noise), device=noise.device).split(8):
            sigma = self.sigma.at(z)
            noise[z] = self.y[z] - sigma * noise[z]
            if spread is not None:
                spread[z] *= sigma
        return noise


def compand(d: torch.Tensor) -> torch.Tensor:
    """d where |d| ≤ 8, beyond it ±8·(1 + ln|d/8|): steep edges do not drown what is beside them."""
    size = d.abs().clamp(min=LINEAR)
    return torch.where(d.abs() <= LINEAR, d, d.sign() * LINEAR * (1 + torch.log(size / LINEAR)))
