"""Boxes of a case's arrays: read, and brought to another size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from .store import FramedArray


def read_box(array: np.ndarray | FramedArray, start: Sequence[int], size: Sequence[int], fill: int) -> np.ndarray:
    """The box [start, start + size) of a (z, y, x) array; what lies outside the array is `fill`. Of an array of a
    store only the box is read.
    """
    out = np.full(size, fill, array.dtype)
    inside = tuple(slice(max(s, 0), min(s + n, have)) for s, n, have in zip(start, size, array.shape, strict=True))
    target = tuple(slice(i.start - s, i.stop - s) for i, s in zip(inside, start, strict=True))
    out[target] = array[inside]
    return out


def resize(box: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """A (Z, Y, X) box resized to `size`: averaged along the axes that shrink, linear along those that grow."""
    x = box[None, None]
    shrunk = [min(have, want) for have, want in zip(box.shape, size, strict=True)]
    x = F.adaptive_avg_pool3d(x, shrunk) if shrunk != list(box.shape) else x
    return (F.interpolate(x, size=tuple(size), mode="trilinear") if shrunk != list(size) else x)[0, 0]


def nearest(labels: np.ndarray, size: Sequence[int]) -> torch.Tensor:
    """Labels (Z, Y, X) on another grid by nearest neighbor, uint8."""
    values = torch.from_numpy(labels.astype(np.float32))[None, None]
    return F.interpolate(values, size=tuple(size), mode="nearest-exact")[0, 0].to(torch.uint8)
