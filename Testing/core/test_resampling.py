"""Cubic resampling: what two slices give, by hand, whatever lies beside them in memory."""

import numpy as np
import pytest
import SimpleITK as sitk

from MedDiffFMLib.volumes.frame import prepare
from MedDiffFMLib.volumes.resampling import resample_cubic
from MedDiffFMLib.volumes.volume import Volume

LOW, HIGH = -100.0, 300.0


def at(t: float) -> float:
    """Between the first (t = 0) and the second of two samples, mirrored about both: …, low, high, low, high, ….

    The coefficients of a cubic spline through m ± d in turn are m ± 3·d; t from 0 to 1.
    """
    middle, deviation = (LOW + HIGH) / 2, (LOW - HIGH) / 2
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    return middle + 3 * deviation * (-weights[0] + weights[1] - weights[2] + weights[3]) / 6


def two(axis: int, other: int = 12) -> np.ndarray:
    """An image of two voxels along an axis, LOW and HIGH, `other` along the others."""
    shape = [other] * 3
    shape[axis] = 2
    return np.where(np.indices(shape)[axis] == 0, np.float32(LOW), np.float32(HIGH))


def leave_dirty_memory() -> None:
    """Memory that was used and given back, as there is in a process that has worked a while."""
    for size in np.random.default_rng().integers(100, 60_000, 40):
        np.full(size, np.nan, np.float32)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_two_voxels_along_an_axis(axis):
    """Half as far apart: at −¼, ¼, ¾ and 1¼ of their distance; the spline is symmetric about both samples."""
    spacing = [1.0, 1.0, 1.0]
    spacing[-1 - axis] = 2.0
    for _ in range(20):
        leave_dirty_memory()
        frame = prepare(Volume(two(axis), tuple(spacing)), spacing_mm=1.0)
        along = np.moveaxis(frame.hu, axis, 0)
        along = along if axis == 0 else along[::-1]  # x and y are turned over in RAS
        assert np.ptp(along, axis=(1, 2)).max() < 1e-3
        assert along[:, 5, 5] == pytest.approx([at(0.25), at(0.25), at(0.75), at(0.75)], abs=1e-3)


def test_what_lies_beyond_the_image_is_outside():
    image = sitk.GetImageFromArray(two(0))
    grid = sitk.Image([12, 12, 6], sitk.sitkUInt8)
    grid.SetOrigin((0, 0, -2))
    found = sitk.GetArrayFromImage(resample_cubic(image, grid, -1000.0))
    assert found[:, 4, 7] == pytest.approx([-1000, -1000, LOW, HIGH, -1000, -1000], abs=1e-3)


def test_other_images_are_resampled_by_itk_itself():
    image = sitk.GetImageFromArray(np.random.default_rng(0).normal(0, 50, (3, 7, 9)).astype(np.float32))
    grid = sitk.Image([8, 8, 8], sitk.sitkUInt8)
    grid.SetSpacing((1.1, 0.9, 0.4))
    expected = sitk.Resample(image, grid, sitk.Transform(), sitk.sitkBSpline, -1000.0, sitk.sitkFloat32)
    found = resample_cubic(image, grid, -1000.0)
    assert np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(expected))
