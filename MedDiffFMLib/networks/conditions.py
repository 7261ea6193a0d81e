"""The network's conditions beside the noisy image: position, region and anatomy (paper, III-B and III-C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from .condition_encoding import ConditionEncoding
from .position import tile_axes


@dataclass(frozen=True)
class Conditions:
    """The conditions of a whole volume, from which those of a tile are made when it is computed.

    labels: uint8 label map (Z, Y, X), RAS order, 0–121, on the grid of the volume. region: class index. encoding: the
    form in which the network takes position and anatomy. placed: False where the volume's place in the body is unknown
    (then the position code is zero, as in training). target: the input of a ControlNet, float32 (C, Z, Y, X) on the
    same grid; None without one.

    The volume may be a part of the image that gives the position its frame, or a coarser grid of it: whole is that
    image's shape (None: the volume is the whole), offset its voxel at the volume's first (may be fractional), step the
    distance of the volume's voxels in it. All (z, y, x).
    """

    labels: np.ndarray
    region: int
    encoding: ConditionEncoding = field(default_factory=ConditionEncoding)
    placed: bool = True
    target: np.ndarray | None = None
    whole: tuple[int, int, int] | None = None
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    step: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def tile(
        self, start: Sequence[int], size: Sequence[int], device: torch.device | str = "cpu"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Position and anatomy channels (C, z, y, x) of the tile at `start` of `size` voxels.

        They are computed on `device`, since they are thirty times as large as what they are computed from.
        """
        labels = torch.from_numpy(np.ascontiguousarray(self.labels[_box(start, size)]))
        anatomy = self.encoding.of_anatomy(labels.to(device))
        first = [o + d * s for o, d, s in zip(self.offset, self.step, start, strict=True)]
        axes = tile_axes(self.whole or self.labels.shape, first, size, self.step)
        position = self.encoding.of_position(*(axis.to(device) for axis in axes))
        return (position if self.placed else torch.zeros_like(position)), anatomy

    def tile_target(
        self, start: Sequence[int], size: Sequence[int], device: torch.device | str = "cpu"
    ) -> torch.Tensor:
        """The target's part in a tile, (C, z, y, x), float32."""
        return torch.from_numpy(np.ascontiguousarray(self.target[(slice(None), *_box(start, size))])).float().to(device)

    def part(self, start: Sequence[int], size: Sequence[int]) -> Conditions:
        """The conditions of a box of the volume, which keeps its place in the whole."""
        box = _box(start, size)
        return replace(
            self,
            labels=self.labels[box],
            target=None if self.target is None else self.target[(slice(None), *box)],
            whole=self.whole or self.labels.shape,
            offset=tuple(o + d * s for o, d, s in zip(self.offset, self.step, start, strict=True)),
        )


def _box(start: Sequence[int], size: Sequence[int]) -> tuple[slice, ...]:
    """The slices of the box at `start` of `size` voxels."""
    return tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))
