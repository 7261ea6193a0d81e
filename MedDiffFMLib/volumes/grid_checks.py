"""The place of a file's voxels: one check for every format, between what its header says and what was read.

A header may say it more than once (NIfTI's sform, qform and pixdim), and readers choose differently. What is read here
is what every reader sees, or it is refused with both readings named.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk

from ..errors import InputError

SHEAR_DEGREES = (
    0.1  # below, axes count as right-angled: 0.5 mm at the end of a 300 mm volume; above it is a gantry tilt
)
APART_MM, APART_VOXELS = 0.5, 0.5  # readings agree where no voxel lies further apart, in mm and in the smallest spacing
_TO_LPS = np.array([[-1.0], [-1.0], [1.0], [1.0]])  # of the rows of an affine in RAS, and back


@dataclass(frozen=True)
class Reading:
    """A reading of where voxels lie. name: of its source, as in "its sform"; affine (4, 4): from the index (x, y, z)
    of a voxel to mm, LPS.
    """

    name: str
    affine: np.ndarray

    def in_words(self) -> str:
        """The reading for a message: spacing, axes and place of the first voxel (RAS, as 3D Slicer shows it)."""
        spacing = np.linalg.norm(self.affine[:3, :3], axis=0)
        axes = (self.affine[:3, :3] / spacing).ravel().tolist()
        code = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(axes)
        first = ", ".join(f"{mm:.1f}" for mm in from_ras(self.affine)[:3, 3] + 0.0)
        return f"{self.name} says voxels of {_times(spacing)} mm, axes {code}, the first at ({first}) mm"


@dataclass(frozen=True)
class Statement:
    """The grid as a header states it: the readings that it allows, and warnings about what it leaves open."""

    readings: list[Reading]
    warnings: list[str] = field(default_factory=list)


def from_ras(affine: np.ndarray) -> np.ndarray:
    """An affine (4, 4) to mm, LPS, made of one to mm, RAS; or the other way round."""
    return _TO_LPS * affine


def affine_of(spacing: Sequence[float], origin: Sequence[float], direction: Sequence[float]) -> np.ndarray:
    """The affine (4, 4) of SimpleITK's geometry: from the index (x, y, z) of a voxel to mm, LPS."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(direction, (3, 3)) * spacing
    affine[:3, 3] = origin
    return affine


def shear_degrees(affine: np.ndarray) -> float:
    """The deviation of the axes from right angles, in degrees, at most 90."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosines = np.abs(axes.T @ axes)[np.triu_indices(3, 1)]
    return math.degrees(math.asin(min(1.0, float(cosines.max()))))


def apart_mm(one: np.ndarray, other: np.ndarray, size: Sequence[int]) -> float:
    """The largest distance between the places of a voxel by two affines, in mm. size: voxels along x, y, z."""
    corners = np.array([[*(np.array(ends) * (np.array(size) - 1)), 1] for ends in np.ndindex(2, 2, 2)])
    return float(np.linalg.norm(corners @ (one - other).T, axis=1).max())


def check_readings(readings: Sequence[Reading], size: Sequence[int], name: str) -> None:
    """Compare readings: InputError, naming the file, unless all have right-angled axes and agree on where voxels lie.

    size: voxels along x, y, z.
    """
    for reading in readings:
        _check_axes(reading, name)
    for first, other in itertools.pairwise(readings):
        nearest = np.linalg.norm(first.affine[:3, :3], axis=0).min()
        apart = apart_mm(first.affine, other.affine, size)
        if apart > min(APART_MM, APART_VOXELS * nearest):
            raise InputError(
                f"{name} says two things about where its voxels lie (up to {apart:.3g} mm apart): {first.in_words()}; "
                f"{other.in_words()}; correct its header, or export it again."
            )
    for reading in readings:
        check_right_angles(reading.affine, name)


def check_right_angles(affine: np.ndarray, name: str) -> None:
    """Check the axes: InputError, naming the file, if they are sheared."""
    shear = shear_degrees(affine)
    if shear > SHEAR_DEGREES:
        raise InputError(
            f"{name} has voxel axes {90 - shear:.1f}° apart instead of 90° (a gantry tilt?); "
            "resample it onto a right-angled grid first."
        )


def _check_axes(reading: Reading, name: str) -> None:
    """Check a reading: InputError if numbers are NaN, or if its axes span no volume."""
    if not np.isfinite(reading.affine).all():
        problem = "holds numbers that are NaN or infinite"
    else:
        lengths = np.linalg.norm(reading.affine[:3, :3], axis=0)
        flat = lengths.min() > 0 and abs(np.linalg.det(reading.affine[:3, :3] / lengths)) < 1e-3
        if lengths.min() > 0 and not flat:
            return
        problem = "has all axes in one plane" if flat else "has a voxel spacing of zero"
    raise InputError(f"{name} cannot be placed, {reading.name} {problem}; correct its header, or export it again.")


def _times(numbers: Sequence[float]) -> str:
    return " × ".join(f"{number:.4g}" for number in numbers)
