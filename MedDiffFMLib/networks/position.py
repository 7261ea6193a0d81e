"""The position of a tile in the whole image: the coordinates of its voxels, sine-encoded (III-C).

[paper eq. 5, paper eq. 6]

    p_c = concat(p_x, p_y, p_z) ∈ [-1, 1]³,   PE(p_c) = (sin 2⁰πp_c, cos 2⁰πp_c, …, sin 2^{L−1}πp_c, cos 2^{L−1}πp_c)

The frame is the whole image, whatever the level: (-1, -1, -1) is its upper left back corner and (1, 1, 1) its
bottom right front corner, so x grows to the patient's right, y to the front and z downwards. Arrays are (z, y, x)
in RAS order (z grows upwards): the p_z of an array therefore falls along its first axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch


def axis_coordinates(whole: int, start: float, size: int, step: float = 1.0) -> torch.Tensor:
    """Coordinates in [-1, 1] of `size` samples along one axis of a whole image of `whole` voxels.

    The first sample is centered on voxel `start` (may be fractional), neighbors are `step` voxels apart: 1 for a
    crop, 2 for a crop of twice the patch, whole/size for the image level. Voxel 0 is −1 and voxel whole−1 is +1.
    Returns float64, shape (size,).
    """
    index = start + step * torch.arange(size, dtype=torch.float64)
    return index * (2.0 / max(whole - 1, 1)) - 1.0


def coordinate_channels(px: torch.Tensor, py: torch.Tensor, pz: torch.Tensor) -> torch.Tensor:
    """The coordinates p_c [paper eq. 5] on the grid of three axes, float32, shape (3, Z, Y, X): p_x, p_y, p_z."""
    shape = (len(pz), len(py), len(px))
    axes = (px.view(1, 1, -1), py.view(1, -1, 1), pz.view(-1, 1, 1))
    return torch.stack([axis.float().expand(shape) for axis in axes])


def encode_position(px: torch.Tensor, py: torch.Tensor, pz: torch.Tensor, frequencies: int = 4) -> torch.Tensor:
    """The encoded position PE(p_c) [paper eq. 6] on the grid of three coordinate axes.

    px, py, pz: shapes (X,), (Y,), (Z,), values in [-1, 1]. Returns float32, shape (6·frequencies, Z, Y, X);
    channels run sin(2⁰πp_x), sin(2⁰πp_y), sin(2⁰πp_z), cos(2⁰πp_x), …, as the equation writes them.
    """
    shape = (len(pz), len(py), len(px))
    channels = []
    for k in range(frequencies):
        for wave in (torch.sin, torch.cos):
            waves = [wave(2**k * math.pi * p.double()).float() for p in (px, py, pz)]
            channels += [waves[0].view(1, 1, -1), waves[1].view(1, -1, 1), waves[2].view(-1, 1, 1)]
    return torch.stack([c.expand(shape) for c in channels])


def tile_axes(
    whole: Sequence[int], start: Sequence[float], size: Sequence[int], step: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The coordinates p_x, p_y and p_z of a tile's samples: `whole`, `start`, `size`, `step` are (z, y, x), in voxels
    of the whole.

    z is turned over, because the paper counts it downwards.
    """
    pz, py, px = (axis_coordinates(w, s, n, d) for w, s, n, d in zip(whole, start, size, step, strict=True))
    return px, py, -pz
