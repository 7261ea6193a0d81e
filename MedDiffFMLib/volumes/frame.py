"""The frame that the model works in: a volume brought into it, and results back onto the volume's own grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from .resampling import resample_cubic
from .volume import Volume

AIR_HU = -1000.0


@dataclass(frozen=True)
class Frame:
    """A volume in the model's frame: the RAS order nearest to the scan's own axes, on its own grid or at 1 mm.

    volume: float32 HU, (z, y, x). An oblique scan is not rotated, only its axes are put in order.
    """

    volume: Volume
    source: Volume

    @property
    def hu(self) -> np.ndarray:
        """HU (z, y, x), float32: z grows upwards, y to the front, x to the patient's right."""
        return self.volume.voxels

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Spacing (z, y, x) in mm."""
        return self.volume.spacing[::-1]

    @property
    def resampled(self) -> bool:
        """Whether the frame has another grid than the source."""
        return sorted(self.volume.spacing) != sorted(self.source.spacing)

    def restore(self, array: np.ndarray, outside: float = AIR_HU) -> np.ndarray:
        """An array of this frame on the source's grid: float32, the shape of source.voxels.

        Exact if the frame's grid is the source's own, else by cubic B-splines. Source voxels beyond the frame, whose
        size is rounded to whole voxels, become `outside`.
        """
        image = self.volume.with_voxels(np.asarray(array, dtype=np.float32)).to_sitk()
        source = self.source.to_sitk()
        if self.resampled:
            native = sitk.DICOMOrient(source, "RAS")
            image = resample_cubic(image, native, outside)
        code = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(source.GetDirection())
        return sitk.GetArrayFromImage(sitk.DICOMOrient(image, code))

    def labels(self, labels: Volume) -> np.ndarray:
        """A label map on the source's grid, brought into this frame by nearest neighbor: uint8 (z, y, x)."""
        image = sitk.DICOMOrient(labels.to_sitk(), "RAS")
        if self.resampled:
            image = sitk.Resample(image, self.volume.to_sitk(), sitk.Transform(), sitk.sitkNearestNeighbor, 0)
        return sitk.GetArrayFromImage(image).astype(np.uint8)


def prepare(volume: Volume, spacing_mm: float | Sequence[float] | None = None) -> Frame:
    """The frame of a volume: its axes ordered as RAS and, if `spacing_mm` is given, one for all axes or (z, y, x),
    resampled to that.

    Resampling is by cubic B-splines and keeps the outer faces of the volume where they are, so that the frame of the
    position stays the whole image.
    """
    image = sitk.DICOMOrient(volume.with_voxels(volume.voxels.astype(np.float32)).to_sitk(), "RAS")
    if spacing_mm is not None:
        image = _resample(image, np.broadcast_to(spacing_mm, 3)[::-1].tolist())
    return Frame(Volume.from_sitk(image, volume.source), volume)


def _resample(image: sitk.Image, spacing: Sequence[float]) -> sitk.Image:
    """The image on a grid of another spacing (x, y, z)."""
    native = image.GetSpacing()
    size = [max(1, round(n * s / d)) for n, s, d in zip(image.GetSize(), native, spacing, strict=True)]
    shift = [0.5 * (d / s - 1.0) for s, d in zip(native, spacing, strict=True)]  # the first voxel's face stays
    grid = sitk.Image(size, sitk.sitkUInt8)
    grid.SetSpacing(spacing)
    grid.SetDirection(image.GetDirection())
    grid.SetOrigin(image.TransformContinuousIndexToPhysicalPoint(shift))
    return resample_cubic(image, grid, AIR_HU)
