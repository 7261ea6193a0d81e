"""Tiles over a whole volume: where they lie, how they blend, which are only air (paper, III-C; Özdenizci &
Legenstein 2023).

The weights are a partition of unity made axis by axis: over all tiles they sum to 1 in every voxel, so no volume
of weights is kept and no voxel can be left uncovered. The paper's are a plain mean; fading ones leave no step.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

WEIGHTS = ("fade", "mean")


@dataclass(frozen=True)
class Tiling:
    """The layout of tiles: their overlap and blending, and how many are computed at once. ValueError for impossible
    values.

    overlap: 0 … 0.9, the share of a tile that its neighbor covers too. weights: "fade", as cos² towards a tile's
    ends, or "mean", where all tiles of a voxel count alike (the paper's). batch: tiles at once; None for one on a CPU,
    where more gain nothing, and some on a GPU.
    """

    overlap: float = 0.25
    weights: str = "fade"
    batch: int | None = None

    def __post_init__(self):
        if not 0 <= self.overlap <= 0.9:
            raise ValueError(f"overlap must be between 0 and 0.9, got {self.overlap}")
        if self.weights not in WEIGHTS:
            raise ValueError(f"weights of tiles must be {' or '.join(WEIGHTS)}, got {self.weights!r}")


@dataclass(frozen=True)
class Tile:
    """A tile of a volume: its first voxel (z, y, x) and its blending weights along z, y and x."""

    start: tuple[int, int, int]
    weights: tuple[torch.Tensor, torch.Tensor, torch.Tensor]

    def weight(self) -> torch.Tensor:
        """The blending weights (Z, Y, X), float32: 1 where no other tile reaches."""
        z, y, x = self.weights
        return z[:, None, None] * y[None, :, None] * x[None, None, :]


@dataclass(frozen=True)
class TilePlan:
    """The tiles of a volume of `shape`; `size` is the same for each. All (z, y, x) in voxels."""

    shape: tuple[int, int, int]
    size: tuple[int, int, int]
    tiles: tuple[Tile, ...]

    def slices(self, tile: Tile) -> tuple[slice, ...]:
        """The place of a tile in the volume."""
        return tuple(slice(s, s + n) for s, n in zip(tile.start, self.size, strict=True))

    def touching(self, mask: np.ndarray) -> list[Tile]:
        """The tiles that contain at least one voxel of a boolean (Z, Y, X) mask."""
        return [w for w in self.tiles if mask[self.slices(w)].any()]


def axis_starts(length: int, size: int, overlap: float) -> list[int]:
    """The first voxels of the fewest evenly spread tiles that cover `length` and overlap by at least `overlap` of
    `size`.
    """
    if length <= size:
        return [0]
    count = math.ceil((length - size) / (size * (1 - overlap))) + 1
    return [round(i * (length - size) / (count - 1)) for i in range(count)]


def axis_weights(length: int, size: int, starts: Sequence[int], weights: str = "fade") -> list[torch.Tensor]:
    """The weights of the `size` voxels of each tile; over all tiles they sum to 1 at every voxel of the axis.

    weights: see `Tiling`.
    """
    bell = torch.sin((torch.arange(size, dtype=torch.float64) + 0.5) / size * math.pi) ** 2
    if weights == "mean":
        bell = torch.ones_like(bell)
    total = torch.zeros(length, dtype=torch.float64)
    for start in starts:
        total[start : start + size] += bell
    return [(bell / total[s : s + size]).float() for s in starts]


def plan_tiles(shape: Sequence[int], patch: Sequence[int], tiling: Tiling) -> TilePlan:
    """The plan of tiles of `patch` voxels over a volume; an axis shorter than the patch gets one tile of its own
    length.

    shape, patch: (z, y, x).
    """
    size = tuple(min(n, p) for n, p in zip(shape, patch, strict=True))
    axes = []
    for length, extent in zip(shape, size, strict=True):
        starts = axis_starts(length, extent, tiling.overlap)
        axes.append(list(zip(starts, axis_weights(length, extent, starts, tiling.weights), strict=True)))
    tiles = tuple(Tile((z[0], y[0], x[0]), (z[1], y[1], x[1])) for z, y, x in itertools.product(*axes))
    return TilePlan(tuple(shape), size, tiles)
