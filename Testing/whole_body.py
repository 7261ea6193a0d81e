"""A whole-body scan made of the repository's real CT of abdomen and chest and a toy head, coarse enough for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume

SPACING = (5.0, 5.0, 10.0)  # x, y, z in mm
SLICES = {"abdomen": 12, "chest": 12, "head": 10}  # of 10 mm, from the feet up


def whole_body(data: Path) -> tuple[Volume, np.ndarray]:
    """The scan, int16 HU in RAS order, lowest slice at -200 mm; and the organs of its abdomen (TotalSegmentator's
    numbers), uint8 of the same shape.
    """
    abdomen = _resampled(read_volume(data / "abd_ts_example.nii.gz").to_sitk(), SLICES["abdomen"], 120.0)
    chest = _resampled(read_volume(data / "chest_ts_aorta.nii.gz").to_sitk(), SLICES["chest"], 60.0)
    organs = read_volume(data / "abd_ts_example_seg.nii.gz").to_sitk()
    labels = _resampled(organs, SLICES["abdomen"], 120.0, sitk.sitkNearestNeighbor, 0)
    hu = np.concatenate([abdomen, chest, _head(abdomen.shape[1:])]).astype(np.int16)
    whole = np.zeros(hu.shape, np.uint8)
    whole[: len(labels)] = labels
    ras = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
    return Volume(hu, SPACING, (150.0, 150.0, -200.0), ras, "whole body"), whole


def _resampled(image: sitk.Image, slices: int, skip_mm: float, how: int = sitk.sitkLinear, air: int = -1000):
    """(slices, 44, 52): RAS order on the test's spacing, the scan in the middle, from `skip_mm` above its end."""
    image = sitk.DICOMOrient(image, "RAS")
    size = (52, 44, slices)
    middle = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    half = [(n - 1) / 2 * s for n, s in zip(size[:2], SPACING[:2], strict=True)]
    origin = (middle[0] + half[0], middle[1] + half[1], image.GetOrigin()[2] + skip_mm)
    grid = (how, origin, SPACING, image.GetDirection(), air, image.GetPixelID())
    return sitk.GetArrayFromImage(sitk.Resample(image, size, sitk.Transform(), *grid))


def _head(shape: tuple[int, int]) -> np.ndarray:
    """A neck of 40 mm and a skull of 60 mm around a brain."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    radius = np.hypot((y - shape[0] / 2) * SPACING[1], (x - shape[1] / 2) * SPACING[0])
    neck = np.where(radius < 20, 500, np.where(radius < 60, 45, -1000))
    skull = np.where(radius < 70, 35, np.where(radius < 85, 900, -1000))
    head = np.stack([neck] * 4 + [skull] * 6)
    noise = np.random.default_rng(0).integers(-8, 9, head.shape)  # areas of one value are padding to the readers
    return np.where(head > -1000, head + noise, head)
