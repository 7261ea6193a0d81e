"""Padding: areas of one constant value that a program filled in, as the corners of a CT that was turned.

Noise makes no two neighbors alike for long, so a square of 7 × 7 equal voxels within a slice is no tissue. Areas as
dark as air need no care, a threshold leaves them out anyway.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from .squares import all_in_a_row, opened
from .volume import Volume

DARK_HU = -950.0  # areas that are darker count as air anyway
SIDE = 7  # voxels
EQUAL_HU = 0.5  # neighbors that differ by less are alike: a resampled area is not quite even
LEAST_SHARE = 0.001  # of the volume that one value must fill
WARNING_SHARE = 0.01  # of the volume: said to the user from here on
_MOST_VALUES = 8


def find_padding(hu: np.ndarray) -> np.ndarray | None:
    """The padding of a CT with values above air: bool (Z, Y, X), or None if there is none.

    hu: (Z, Y, X), axial slices first. A phantom without noise, in which all is constant, has no padding; neither has
    what is saturated at the highest value, unless it reaches the border.
    """
    values = _constant_values(hu)
    padding = np.zeros(hu.shape, bool)
    for value in values:
        area = _area(hu, value)
        if value < hu.max() - EQUAL_HU or _touches_border(area):
            padding |= area
    return padding if padding.any() and _has_noise(hu, (hu > DARK_HU) & ~padding) else None


def with_padding_warning(volume: Volume) -> Volume:
    """The volume, with a warning if much of it is padding above air."""
    padding = find_padding(volume.voxels)
    fraction = 0.0 if padding is None else float(padding.mean())
    if fraction < WARNING_SHARE:
        return volume
    value, name = float(np.median(volume.voxels[padding])), Path(volume.source).name or "the CT"
    return volume.with_warning(
        f"{100 * fraction:.0f} % of {name} hold one value ({value:g} HU) as no tissue does, padding perhaps: "
        "they count as outside of the body, and stay as they are."
    )


def _constant_values(hu: np.ndarray) -> list[float]:
    """The values that fill many squares, the most frequent first."""
    counts: dict[float, int] = {}
    for slice_ in hu:
        corners = _squares(slice_, SIDE)
        corner_values = slice_[: corners.shape[0], : corners.shape[1]][corners]
        for value, count in zip(
            *np.unique(np.rint(corner_values[corner_values > DARK_HU]), return_counts=True), strict=True
        ):
            counts[float(value)] = counts.get(float(value), 0) + int(count)
    often = sorted(counts, key=counts.get, reverse=True)[:_MOST_VALUES]
    return [value for value in often if counts[value] >= LEAST_SHARE * hu.size]


def _area(hu: np.ndarray, value: float) -> np.ndarray:
    """The squares of a value, and smaller ones of 3 × 3 that are joined to them: bool (Z, Y, X)."""
    area = np.zeros(hu.shape, bool)
    for slice_, part in zip(hu, area, strict=True):
        equal = np.abs(slice_.astype(np.float32) - value) <= EQUAL_HU
        seeds = opened(equal, SIDE)
        if seeds.any():
            part[:] = ndimage.binary_propagation(seeds, np.ones((3, 3)), opened(equal, 3))
    return area


def _squares(slice_: np.ndarray, side: int) -> np.ndarray:
    """The voxels where a square of equal voxels of a slice begins: bool (Y − side + 1, X − side + 1)."""
    if min(slice_.shape) < side:
        return np.zeros((0, 0), bool)
    slice_ = slice_.astype(np.float32, copy=False)
    across = all_in_a_row(np.abs(np.diff(slice_, axis=1)) < EQUAL_HU, side - 1, axis=1)
    down = all_in_a_row(np.abs(np.diff(slice_, axis=0)) < EQUAL_HU, side - 1, axis=0)
    return all_in_a_row(across, side, axis=0) & down[:, : across.shape[1]]


def _touches_border(area: np.ndarray) -> bool:
    """Whether an area reaches a face of the volume."""
    return any(bool(area.take(end, axis).any()) for axis in range(3) for end in (0, -1))


def _has_noise(hu: np.ndarray, where: np.ndarray) -> bool:
    """Whether most neighbors along x differ, of those that both lie in `where`; False if there are none."""
    alike = total = 0
    for slice_, part in zip(hu, where, strict=True):
        both = part[:, 1:] & part[:, :-1]
        total += int(np.count_nonzero(both))
        alike += int(np.count_nonzero(np.abs(np.diff(slice_.astype(np.float32), axis=1)[both]) < EQUAL_HU))
    return alike < total / 2
