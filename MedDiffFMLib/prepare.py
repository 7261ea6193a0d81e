"""From a volume to the frame that the model works in, and back onto the volume's own grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from .volume import Volume

AIR_HU = -1000.0


@dataclass(frozen=True)
class Prepared:
    """A volume in the model's frame: `hu` float32 (z, y, x) in the RAS order nearest to the scan's own axes.

    spacing is (z, y, x) in mm: the scan's own, or 1 mm. An oblique scan is not rotated, only its axes are put in
    order.
    """

    hu: np.ndarray
    spacing: tuple[float, float, float]
    source: Volume
    _image: sitk.Image

    def restore(self, array: np.ndarray) -> np.ndarray:
        """An array of this frame on the source's grid: float32, the shape of source.voxels. Exact if the grid is
        its own.
        """
        image = sitk.GetImageFromArray(np.ascontiguousarray(array, dtype=np.float32))
        image.CopyInformation(self._image)
        source = self.source.to_sitk()
        own = sitk.DICOMOrient(source, "RAS")
        if own.GetSize() != image.GetSize():
            image = sitk.Resample(image, own, sitk.Transform(), sitk.sitkBSpline, AIR_HU, sitk.sitkFloat32)
        code = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(source.GetDirection())
        return sitk.GetArrayFromImage(sitk.DICOMOrient(image, code))

    def labels(self, labels: Volume) -> np.ndarray:
        """A label map on the source's grid, brought into this frame by nearest neighbour: uint8 (z, y, x)."""
        image = sitk.DICOMOrient(labels.to_sitk(), "RAS")
        if image.GetSize() != self._image.GetSize():
            image = sitk.Resample(image, self._image, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
        return sitk.GetArrayFromImage(image).astype(np.uint8)


def prepare(volume: Volume, spacing_mm: float | None = None) -> Prepared:
    """Order a volume's axes as RAS and, if `spacing_mm` is given, resample it to that isotropic spacing by cubic
    B-splines.

    Resampling keeps the outer faces of the volume where they are, so the frame of the position stays the whole image.
    """
    image = sitk.DICOMOrient(volume.with_voxels(volume.voxels.astype(np.float32)).to_sitk(), "RAS")
    if spacing_mm is not None:
        image = _resample(image, spacing_mm)
    return Prepared(sitk.GetArrayFromImage(image), image.GetSpacing()[::-1], volume, image)


def _resample(image: sitk.Image, spacing: float) -> sitk.Image:
    size = [max(1, round(n * s / spacing)) for n, s in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    shift = [0.5 * (spacing / s - 1.0) for s in image.GetSpacing()]  # the first voxel's face stays, its centre moves
    origin = image.TransformContinuousIndexToPhysicalPoint(shift)
    return sitk.Resample(
        image,
        size,
        sitk.Transform(),
        sitk.sitkBSpline,
        origin,
        [spacing] * 3,
        image.GetDirection(),
        AIR_HU,
        sitk.sitkFloat32,
    )
