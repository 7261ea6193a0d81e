"""The common option --roi: any task on a box of the scan, its result back in the whole scan."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..parameters.common import read_box
from .volume import Volume

SMALLEST_MM = 16.0  # a network cannot recognize an organ in less


@dataclass(frozen=True)
class Box:
    """A box in mm in RAS (x to the right, y to the front, z up): low and high corner, each (x, y, z)."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]

    @classmethod
    def parse(cls, roi: str) -> Box:
        """The box of the common parameter `roi`. UsageError as of `read_box`."""
        return cls(*read_box(roi))

    def corners(self) -> np.ndarray:
        """The eight corners (8, 3) in mm, RAS."""
        ends = np.array([self.low, self.high])
        return np.array([[ends[i, 0], ends[j, 1], ends[k, 2]] for i, j, k in np.ndindex(2, 2, 2)])


@dataclass(frozen=True)
class Part:
    """The part of a volume inside a box. where: the slices (z, y, x) of `whole` that `volume` is."""

    whole: Volume
    volume: Volume
    where: tuple[slice, slice, slice]

    def paste(self, result: Volume, kind: str, of_ct: bool) -> Volume:
        """A result on this part's grid, brought into the whole: the rest is the input (HU of a CT: kind `volume`) or
        zero (`map`, `mask`). Any other result is returned as it is, and covers the box only.
        """
        if not result.same_grid(self.volume) or (kind == "volume" and not of_ct):
            return result
        if kind == "volume":
            voxels = self.whole.voxels.astype(np.promote_types(self.whole.voxels.dtype, result.voxels.dtype))
        else:
            voxels = np.zeros(self.whole.voxels.shape, result.voxels.dtype)
        voxels[self.where] = result.voxels
        return replace(result, voxels=voxels, origin=self.whole.origin, grid_record=self.whole.grid_record)


def crop_to_box(volume: Volume, box: Box) -> Part:
    """The voxels whose centers lie in the box; of an oblique scan, all between the outermost of them.

    A box that reaches beyond the scan is cut at its border. InputError if it misses the scan or leaves less than
    16 mm (or less than the scan has) along an axis.
    """
    size = np.array(volume.voxels.shape[::-1])
    index = _indices(volume, box.corners())
    name = volume.source or "the scan"
    if (index.max(axis=0) < -0.5).any() or (index.min(axis=0) > size - 0.5).any():
        raise InputError(f"The box (--roi) lies outside of {name}, which covers {_extent(volume)} mm (RAS).")
    first = np.clip(np.ceil(index.min(axis=0) - 1e-4), 0, size - 1).astype(int)
    last = np.clip(np.floor(index.max(axis=0) + 1e-4), 0, size - 1).astype(int)
    count = np.maximum(last - first + 1, 0)
    if (count < 2).any() or (count * volume.spacing < np.minimum(SMALLEST_MM, volume.size_mm) - 1e-4).any():
        covered = " × ".join(f"{mm:g}" for mm in np.round(count * volume.spacing, 1))
        raise InputError(
            f"The box (--roi) leaves {covered} mm of {name}, too little to work on: it needs {SMALLEST_MM:g} mm "
            "along each axis."
        )
    where = tuple(slice(int(a), int(b) + 1) for a, b in zip(first[::-1], last[::-1], strict=True))
    origin = volume.origin + (first * volume.spacing) @ np.reshape(volume.direction, (3, 3)).T
    voxels = np.ascontiguousarray(volume.voxels[where])
    return Part(volume, replace(volume, voxels=voxels, origin=tuple(map(float, origin)), grid_record=b""), where)


def _indices(volume: Volume, ras: np.ndarray) -> np.ndarray:
    """The continuous voxel indices (n, 3), x y z, of points (n, 3) in mm, RAS."""
    lps = ras * (-1, -1, 1)
    return (lps - volume.origin) @ np.reshape(volume.direction, (3, 3)) / volume.spacing


def _extent(volume: Volume) -> str:
    """The extent of a volume along x, y and z in mm, RAS, in words."""
    faces = np.array(list(np.ndindex(2, 2, 2))) * volume.voxels.shape[::-1] - 0.5
    lps = volume.origin + (faces * volume.spacing) @ np.reshape(volume.direction, (3, 3)).T
    ras = lps * (-1, -1, 1)
    pairs = zip("xyz", ras.min(axis=0), ras.max(axis=0), strict=True)
    return ", ".join(f"{axis} {low:.0f} to {high:.0f}" for axis, low, high in pairs)
