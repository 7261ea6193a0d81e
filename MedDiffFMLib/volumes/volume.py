"""A CT volume: HU voxels and the geometry they came with."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

import numpy as np
import SimpleITK as sitk

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Volume:
    """A volume: voxels (z, y, x) in HU (int16 or float32) and SimpleITK's geometry (LPS, mm), bit-exact from read to
    write.

    spacing and origin are (x, y, z); direction is the row-major 3×3 matrix (9 numbers). `source` is its path.
    `grid_record` holds the file header's own bytes about the grid, so that the same format gives them back unchanged.
    `resampled` is True for a label map that was brought onto another grid (nearest neighbor). `in_hu` is True once
    `check_ct` has passed the volume, and for a box of that volume, which may show too little to judge by. `warnings`
    are sentences about how the file was read where more than one reading was possible. `slice_thickness` is that of
    the slices along z in mm, None where the file does not state it.
    """

    voxels: np.ndarray
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    source: str = ""
    grid_record: bytes = field(default=b"", repr=False, compare=False)
    resampled: bool = False
    in_hu: bool = False
    warnings: tuple[str, ...] = field(default=(), repr=False, compare=False)
    slice_thickness: float | None = None

    def with_warning(self, sentence: str) -> Volume:
        """This volume with one more warning, which is logged too."""
        log.warning("Warning: %s", sentence)
        return replace(self, warnings=(*self.warnings, sentence))

    def with_voxels(self, voxels: np.ndarray) -> Volume:
        """A volume of this geometry with other voxels of the same shape (ValueError otherwise)."""
        if voxels.shape != self.voxels.shape:
            raise ValueError(f"voxels of shape {voxels.shape} do not fit a volume of shape {self.voxels.shape}")
        return replace(self, voxels=voxels, in_hu=False)

    @property
    def size_mm(self) -> tuple[float, float, float]:
        """The extent (x, y, z) of the volume in mm along its own axes, from voxel edge to voxel edge."""
        return tuple(n * s for n, s in zip(self.voxels.shape[::-1], self.spacing, strict=True))

    def same_grid(self, other: Volume, tolerance: float = 0.01) -> bool:
        """Whether both have the same shape and no voxel lies further apart than `tolerance` of the smallest
        spacing.
        """
        if self.voxels.shape != other.voxels.shape:
            return False
        apart = np.linalg.norm(self._corners() - other._corners(), axis=1).max()
        return bool(apart <= tolerance * min(self.spacing))

    def same_box(self, other: Volume) -> bool:
        """Whether the corner voxels of both lie in the same eight places, in whatever order, within half a voxel."""
        apart = np.linalg.norm(self._corners()[:, None] - other._corners(), axis=2)
        return bool(apart.min(axis=1).max() <= 0.5 * min(self.spacing))

    def _corners(self) -> np.ndarray:
        """The positions (8, 3) in mm of the centers of the eight corner voxels."""
        last = np.array(self.voxels.shape[::-1]) - 1
        index = np.array(list(np.ndindex(2, 2, 2))) * last
        return self.origin + (index * self.spacing) @ np.reshape(self.direction, (3, 3)).T

    def to_sitk(self) -> sitk.Image:
        """The volume as an image of SimpleITK."""
        image = sitk.GetImageFromArray(self.voxels)
        image.SetSpacing(self.spacing)
        image.SetOrigin(self.origin)
        image.SetDirection(self.direction)
        return image

    @classmethod
    def from_sitk(cls, image: sitk.Image, source: str = "") -> Volume:
        """The volume of an image of SimpleITK."""
        return cls(sitk.GetArrayFromImage(image), image.GetSpacing(), image.GetOrigin(), image.GetDirection(), source)


def cast_like(result: np.ndarray, like: Volume) -> np.ndarray:
    """A float result in HU as the input stores it: rounded and clipped for integers, converted for floats."""
    dtype = like.voxels.dtype
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        result = np.clip(np.rint(result), limits.min, limits.max)
    return result.astype(dtype, copy=False)


def to_ras(volume: Volume, index: np.ndarray) -> tuple[float, float, float]:
    """The place in mm, RAS, of a voxel index (z, y, x), which may be fractional."""
    x, y, z = volume.origin + np.reshape(volume.direction, (3, 3)) @ (index[::-1] * np.array(volume.spacing))
    return -float(x), -float(y), float(z)
