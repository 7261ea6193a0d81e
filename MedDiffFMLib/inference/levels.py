"""The levels of one image: the same whole on coarser grids, each sample with its place in the whole (paper, III-B).

`image` is the whole image resized to the network's patch, `double` has 2 mm and `patch` 1 mm, as the training's crops
have them. Sample i of an axis lies at voxel `offset + i·step` of the whole, offset = step/2 − 1/2: the outer faces of
first voxels agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..networks.condition_encoding import ConditionEncoding
from ..networks.conditions import Conditions

SPACING_MM = {"double": 2.0, "patch": 1.0}


@dataclass(frozen=True)
class Level:
    """A grid over a whole image of `whole` voxels: its own `shape` and the `step` of its samples in the whole. All
    (z, y, x).
    """

    name: str
    whole: tuple[int, int, int]
    shape: tuple[int, int, int]
    step: tuple[float, float, float]

    @property
    def offset(self) -> tuple[float, float, float]:
        """The voxel of the whole, fractional, that the first sample is centered on."""
        return tuple(d / 2 - 0.5 for d in self.step)

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """A label map of the whole at this level, by nearest neighbor."""
        index = [
            np.clip(np.floor(d / 2 + d * np.arange(n)).astype(int), 0, length - 1)
            for d, n, length in zip(self.step, self.shape, self.whole, strict=True)
        ]
        return labels[np.ix_(*index)]

    def conditions(self, labels: np.ndarray, region: int, encoding: ConditionEncoding) -> Conditions:
        """The conditions of this level: `labels` as it sees them, and its place in the whole."""
        seen = self.labels(labels)
        return Conditions(seen, region, encoding, whole=self.whole, offset=self.offset, step=self.step)


def level_of(name: str, whole: Sequence[int], spacing: Sequence[float], patch: int) -> Level:
    """The level `image`, `double`, `patch` or `own` (the whole's own grid) of an image of `whole` voxels.

    whole and spacing (mm) are (z, y, x). Along an axis whose own spacing is coarser than the level's, the level has the
    own one: `double` and `patch` are never finer than the image.
    """
    whole = tuple(whole)
    if name == "own":
        return Level(name, whole, whole, (1.0, 1.0, 1.0))
    if name == "image":
        return Level(name, whole, (patch,) * 3, tuple(n / patch for n in whole))
    step = tuple(max(SPACING_MM[name] / s, 1.0) for s in spacing)
    return Level(name, whole, tuple(max(1, round(n / d)) for n, d in zip(whole, step, strict=True)), step)


def is_finer(level: Level, than: Level) -> bool:
    """Whether a level has a smaller step along any axis."""
    return any(a < b for a, b in zip(level.step, than.step, strict=True))


def resample(x: torch.Tensor, source: Level, target: Level) -> torch.Tensor:
    """An image (Z, Y, X) of the level `source` at the samples of `target`, linear axis by axis, constant beyond the
    ends.
    """
    for axis in range(3):
        place = target.offset[axis] + target.step[axis] * torch.arange(target.shape[axis], dtype=torch.float64)
        last = source.shape[axis] - 1
        index = ((place - source.offset[axis]) / source.step[axis]).clamp(0, last)
        low = index.floor().long()
        weight = (index - low).to(x.dtype).view([-1 if a == axis else 1 for a in range(3)]).to(x.device)
        low, high = low.to(x.device), (low + 1).clamp(max=last).to(x.device)
        x = x.index_select(axis, low) * (1 - weight) + x.index_select(axis, high) * weight
    return x
