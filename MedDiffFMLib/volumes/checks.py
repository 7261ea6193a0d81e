"""Checks that a volume can be a CT in Hounsfield units; one clear sentence if not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..errors import InputError
from .grid_checks import affine_of, check_right_angles
from .volume import Volume

SPACING_MM = (0.02, 25.0)  # finer is micro-CT or meters taken for mm, coarser is no volume
LOWEST_HU = -1500  # the noise of air ends above; below is padding
_SAMPLE = 2_000_000  # voxels that the histogram is taken from
_HINT = "give a CT in Hounsfield units"


def check_ct(volume: Volume) -> None:
    """Check a CT: InputError, naming `volume.source`, unless it is 3D and in HU with a usable grid. Crops of a body
    pass.

    Of a box of a CT that is in HU (`Volume.in_hu`), the values need only show a patient.
    """
    name = volume.source or "The volume"
    check_grid(volume.voxels.shape, volume.spacing, name)
    check_right_angles(affine_of(volume.spacing, volume.origin, volume.direction), name)
    _check_numbers(volume.voxels, name)
    problem = _shows_nothing(volume.voxels) if volume.in_hu else _not_hounsfield(volume.voxels)
    if problem:
        raise InputError(f"{name} {problem}.")


def ensure_ct(volume: Volume) -> Volume:
    """The volume, checked to be a CT in HU: by `check_ct` now, unless that was done before. InputError as of that."""
    if volume.in_hu:
        return volume
    check_ct(volume)
    return replace(volume, in_hu=True)


def check_grid(shape: tuple[int, ...], spacing: tuple[float, ...], name: str) -> None:
    """Check a grid: InputError unless shape (z, y, x) and spacing (x, y, z) in mm are those of a volume."""
    if len(shape) < 3 or min(shape) < 2:
        size = " × ".join(str(n) for n in shape[::-1])
        raise InputError(f"{name} is a single slice ({size} voxels); give the whole 3D volume.")
    if len(shape) > 3:
        raise InputError(f"{name} has {len(shape)} dimensions; give one 3D volume.")
    low, high = SPACING_MM
    if not all(math.isfinite(s) and low <= s <= high for s in spacing):
        mm = " × ".join(f"{s:g}" for s in spacing)
        raise InputError(
            f"{name} has a voxel spacing of {mm} mm, outside {low:g} to {high:g} mm; "
            "correct the spacing in its header or export it again."
        )


def _check_numbers(voxels: np.ndarray, name: str) -> None:
    """Check the voxels: InputError if some are NaN or infinite."""
    if np.issubdtype(voxels.dtype, np.floating):
        bad = voxels.size - int(np.count_nonzero(np.isfinite(voxels)))
        if bad:
            raise InputError(f"{name} has {bad} voxels that are NaN or infinite; replace them, for air with -1000.")


def _shows_nothing(voxels: np.ndarray) -> str:
    """The problem with a box of a CT that is in HU: no patient is in it; or an empty string."""
    low, high = float(voxels.min()), float(voxels.max())
    if low == high:
        return f"has the same value everywhere ({low:g} HU); place it on the patient"
    if np.percentile(voxels.reshape(-1)[:: max(1, voxels.size // _SAMPLE)], 99.5) < -200:
        return f"holds nothing denser than -200 HU (values {low:g} to {high:g}); place it on the patient"
    return ""


def _not_hounsfield(voxels: np.ndarray) -> str:
    """The reason why the values are not HU, or an empty string. Only what no CT has is refused, so that crops pass.

    Judged by how frequent values are, not by the lowest and highest: a padded voxel must not hide what the others are.
    """
    low, high = float(voxels.min()), float(voxels.max())
    sample = voxels.reshape(-1)[:: max(1, voxels.size // _SAMPLE)].astype(np.float32)
    span = f"(values {low:g} to {high:g})"
    if low == high:
        return f"has the same value everywhere {span}; {_HINT}"
    if voxels.dtype.itemsize == 1:
        return f"looks like an 8-bit image {span}; {_HINT}, not one exported for display"
    if _many_of(
        sample[sample > 3071], sample
    ):  # 3071 ends the 12-bit scale; only metal lies above, never 1 % of a volume
        return f"has too many values above 3071 {span} to be a CT; {_HINT}"
    if _many_of(sample[sample < LOWEST_HU], sample):
        return f"has too many values below {LOWEST_HU} {span} to be a CT, as if scaled or offset twice; {_HINT}"
    sample = sample[(sample >= LOWEST_HU) & (sample <= 3071)]  # without padding
    if not sample.size:
        return f"holds nothing between {LOWEST_HU} and 3071 HU {span}; {_HINT}"
    if np.ptp(sample) < 10 or np.ptp(np.percentile(sample, (0.1, 99.9))) < 5:  # the noise of any CT spans more
        return f"spans less than 10 HU {span} and looks rescaled; {_HINT}"
    return _unusual(sample, span)


def _unusual(sample: np.ndarray, span: str) -> str:
    """The problem with the distribution of values without padding, or an empty string."""
    below = float(np.mean(sample < 0))
    rest = _without_lowest(sample)  # which may be padding at any value
    if below < 1e-5 and sample.max() <= 255 and np.ptp(sample) > 200:  # a crop so wide has fat in it
        return f"looks like an 8-bit image {span}; {_HINT}, not one exported for display"
    if below < 1e-5 and np.median(rest) < 5:  # water has noise on both sides of 0
        return f"has no negative values and hardly any above 5 {span}, as a PET or a map of scores; {_HINT}"
    if _sign_turned(sample):
        return f"has its sign turned, with air or lung above 600 {span}; multiply all voxels by -1"
    if _has_offset(rest, below):
        do = "subtract 1024 from all voxels, or 1000 if that is what brings air to -1000"
        return f"has hardly any negative values {span}: its HU look offset by 1024; {do}"
    # so wide a range without fat, water or air, or nothing softer than bone
    if below < 1e-5 and (np.ptp(sample) > 400 or sample.min() > 600):
        return f"has no negative values {span}, so it looks like an MR or another image, not a CT; {_HINT}"
    if np.percentile(sample, 99.5) < -200:  # even lung is full of vessels; or the offset was applied twice
        return f"holds nothing denser than -200 HU {span}; {_HINT} that shows a patient"
    return ""


def _sign_turned(sample: np.ndarray) -> bool:
    """Whether air and lung are where no CT has so much, and bone is where no tissue is."""
    bone, below = float(np.mean(sample < -250)), float(np.mean(sample < -700))
    return bone > 0.001 and (_share(sample, 900, 1100) > 0.3 or (_share(sample, 600, 1100) > 0.25 and below < 0.01))


def _has_offset(sample: np.ndarray, below: float) -> bool:
    """Whether soft tissue is most of what is dense, at about 1024, and nothing is air or lung.

    below: the share of negative values; the fewer, the less need be so dense. Bone alone may be, but then as much again
    is less dense.
    """
    soft, dense = _share(sample, 874, 1324), float(np.mean(sample > 500))
    if soft < 0.5 * dense or np.ptp(sample) == 0 or np.percentile(sample, 5) < -200:  # a phantom may have two values
        return False
    return soft > (0.02 if below < 1e-5 else 0.2) or (soft > 0.05 and _share(sample, 150, 700) < 0.5 * soft)


def _many_of(beyond: np.ndarray, sample: np.ndarray) -> bool:
    """Whether values beyond the scale are more than 1 % and vary: padding is one value, with a rim if it was resampled
    (at most 8 %), metal is less.
    """
    constant = int(np.unique(beyond, return_counts=True)[1].max()) if beyond.size else 0
    varied = beyond.size - constant
    return varied > 0.01 * sample.size and (varied > constant or varied > 0.08 * sample.size)


def _without_lowest(sample: np.ndarray) -> np.ndarray:
    """The values without the lowest one, if it is 1 % of them or more and others remain."""
    others = sample[sample > sample.min()]
    return others if others.size < 0.99 * sample.size else sample


def _share(sample: np.ndarray, low: float, high: float) -> float:
    """The fraction of values between two limits."""
    return float(np.mean((sample > low) & (sample < high)))
