"""Cubic resampling of images of any size."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

TOO_SHORT = 2  # voxels along an axis


def resample_cubic(image: sitk.Image, grid: sitk.Image, outside: float) -> sitk.Image:
    """The image on another image's grid by cubic B-splines, float32. What lies beyond the image becomes `outside`.

    Of an axis of two voxels ITK mirrors only once, looks for a third one, and finds whatever lies there in memory. Such
    an axis is mirrored here first, which gives the same spline.
    """
    if TOO_SHORT not in image.GetSize():
        return _resample(image, grid, sitk.sitkBSpline, outside)
    found = _resample(_mirrored(image), grid, sitk.sitkBSpline, outside)
    ones = sitk.GetImageFromArray(np.ones(image.GetSize()[::-1], np.float32))
    ones.CopyInformation(image)
    inside = sitk.Cast(_resample(ones, grid, sitk.sitkNearestNeighbor, 0.0), sitk.sitkUInt8)
    return sitk.Mask(found, inside, outside)


def _resample(image: sitk.Image, grid: sitk.Image, interpolator: int, outside: float) -> sitk.Image:
    return sitk.Resample(image, grid, sitk.Transform(), interpolator, outside, sitk.sitkFloat32)


def _mirrored(image: sitk.Image) -> sitk.Image:
    """The image with one more voxel at either end of each axis of two: those of a, b become b, a, b, a."""
    more = [int(n == TOO_SHORT) for n in image.GetSize()]
    voxels = np.pad(sitk.GetArrayFromImage(image), [(n, n) for n in reversed(more)], mode="reflect")
    mirrored = sitk.GetImageFromArray(voxels)
    mirrored.SetSpacing(image.GetSpacing())
    mirrored.SetDirection(image.GetDirection())
    mirrored.SetOrigin(image.TransformIndexToPhysicalPoint([-n for n in more]))
    return mirrored
