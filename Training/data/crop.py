"""A training sample: a crop of a CT with its conditions."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from MedDiffFMLib.diffusion.slice_operators import block_mean, cubic_slices
from MedDiffFMLib.networks.condition_encoding import ConditionEncoding


@dataclass
class Slices:
    """Thin slices (1, Z, Y, X) in the model's range and beyond it, bool the body on them, and how many make one."""

    thin: torch.Tensor
    body: torch.Tensor
    factor: int

    @property
    def thick(self) -> torch.Tensor:
        """The thick slices: block means of the thin ones, (1, Z / factor, Y, X)."""
        return block_mean(self.thin, self.factor)

    @property
    def spline(self) -> torch.Tensor:
        """Thin slices interpolated from the thick ones by the cubic spline that keeps their means, (1, Z, Y, X)."""
        return cubic_slices(self.thick, self.factor)


@dataclass
class Crop:
    """A training sample: x_0 in [-1, 1] (1, Z, Y, X), its p_x, p_y and p_z, labels (Z, Y, X) and region index.

    Position and anatomy are small here; the codes that the network takes are made where it computes (`codes`).
    """

    x0: torch.Tensor
    axes: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    placed: bool
    labels: torch.Tensor
    region: int
    level: str
    target: torch.Tensor | None = None  # (1, Z, Y, X)
    slices: Slices | None = None  # of a crop for "thick-slices"
    covered: torch.Tensor | None = None  # bool (Z, Y, X): what counts in the loss, if the scan was given in part

    def codes(
        self, encoding: ConditionEncoding, device: torch.device | str = "cpu"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Position channels, zero if the position is not given, and anatomy channels, both (C, Z, Y, X)."""
        position = encoding.of_position(*(axis.to(device) for axis in self.axes))
        return position if self.placed else torch.zeros_like(position), encoding.of_anatomy(self.labels.to(device))
