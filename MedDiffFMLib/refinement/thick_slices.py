"""Thin slices by a refiner: its inputs, and how its output is used. Beyond the paper.

    b = ½·x̂_θ + ½·s,   x̂_0 = b + S·(f(b, x̂_θ − s, thick slices, place in the block) − its block means)

s: the cubic spline through the thick slices; x̂_θ: the foundation model's estimate in one evaluation (see
`tasks.one_step_slices`). Both have the thick slices as block means, and so has x̂_0. Slices lie along the first axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

from ..diffusion.slice_operators import block_mean, cubic_slices, project_to_block_means, replicate
from ..networks.refiner import Refiner, RefinerConfig, apply_slabwise, at

THICK_SLICES = RefinerConfig(kind="thick-slices", inputs=12)
SCALE = 0.1  # S: of the errors, in the model's range
INPUT_SCALE = 8.0  # of the differences of slices, which are small
USUAL_FACTOR = 5


@dataclass(frozen=True)
class ThickSliceInputs:
    """Thick slices (Z, Y, X), and thin ones that the foundation model makes of them (Z · factor, Y, X), whose block
    means they need not keep; in the model's range.
    """

    thick: torch.Tensor
    of_model: torch.Tensor
    factor: int

    def to(self, device: torch.device) -> ThickSliceInputs:
        """These inputs on another device."""
        return ThickSliceInputs(self.thick.to(device), self.of_model.to(device), self.factor)

    @cached_property
    def spline(self) -> torch.Tensor:
        """s, the cubic-spline interpolation. Computed in float32 even under autocast: bfloat16 would shift it by
        several HU.
        """
        with torch.autocast(self.thick.device.type, enabled=False):
            return cubic_slices(self.thick, self.factor)

    @cached_property
    def base(self) -> torch.Tensor:
        """The estimate b that the refiner corrects (module docstring)."""
        return (project_to_block_means(self.of_model, self.thick, self.factor) + self.spline) / 2

    def features(self, z: torch.Tensor) -> torch.Tensor:
        """The inputs of f for the thin slices z (n,): (n, 12, Y, X)."""
        b, k = at(self.base, z), z // self.factor
        thick, below, above = (at(self.thick, k + step) for step in (0, -1, 1))
        differences = [
            2 * (b - at(self.spline, z)),
            thick - b,
            below - thick,
            above - thick,
            at(self.thick, k - 2) - below,
            at(self.thick, k + 2) - above,
            at(self.base, z - 1) - b,
            at(self.base, z + 1) - b,
        ]
        place = ((z % self.factor + 0.5) / self.factor - 0.5).to(b)[:, None, None].expand_as(b)
        factor = torch.full_like(b, math.log(self.factor / USUAL_FACTOR))
        return torch.stack([*(INPUT_SCALE * d for d in differences), b, 2 * place, 8 * place**2 - 1, factor], dim=1)

    def apply_refiner(
        self,
        refiner: Refiner,
        mirrored: int = 1,
        on_part: Callable[[int, int], None] = lambda done, total: None,
        spread: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """x̂_0, the refined thin slices, with the thick ones as block means. mirrored, on_part: see `apply_slabwise`.
        spread: takes, if given, the standard deviation of S·f over the orientations.
        """
        found = apply_slabwise(refiner, self.features, self.base, mirrored, on_part, spread)
        if spread is not None:
            spread *= SCALE
        return self.base + SCALE * (found - replicate(block_mean(found, self.factor), self.factor))
