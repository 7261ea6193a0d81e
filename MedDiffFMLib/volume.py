"""A CT volume: HU voxels and the geometry they came with."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk


@dataclass(frozen=True)
class Volume:
    """Voxels (z, y, x) in HU (int16 or float32) with SimpleITK's geometry (LPS, mm), kept bit-exact from read to
    write.

    spacing and origin are (x, y, z); direction is the row-major 3×3 matrix of 9 numbers. `source` names where it
    came from.
    """

    voxels: np.ndarray
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    source: str = ""

    def with_voxels(self, voxels: np.ndarray) -> Volume:
        """The same geometry with other voxels of the same shape (ValueError otherwise)."""
        if voxels.shape != self.voxels.shape:
            raise ValueError(f"voxels of shape {voxels.shape} do not fit a volume of shape {self.voxels.shape}")
        return replace(self, voxels=voxels)

    def to_sitk(self) -> sitk.Image:
        image = sitk.GetImageFromArray(self.voxels)
        image.SetSpacing(self.spacing)
        image.SetOrigin(self.origin)
        image.SetDirection(self.direction)
        return image

    @classmethod
    def from_sitk(cls, image: sitk.Image, source: str = "") -> Volume:
        return cls(sitk.GetArrayFromImage(image), image.GetSpacing(), image.GetOrigin(), image.GetDirection(), source)
