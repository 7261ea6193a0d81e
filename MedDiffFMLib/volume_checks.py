"""Can this be a CT in Hounsfield units? One clear sentence if not."""

from __future__ import annotations

import math

import numpy as np

from .errors import InputError
from .volume import Volume

SPACING_MM = (0.02, 25.0)  # finer is micro-CT or metres taken for mm, coarser is no volume
_SAMPLE = 2_000_000  # voxels that the histogram is taken from
_HINT = "give a CT in Hounsfield units"


def check_ct(volume: Volume) -> None:
    """InputError, naming `volume.source`, unless this is a 3D CT in HU with a usable grid. Crops of a body pass."""
    name = volume.source or "The volume"
    check_grid(volume.voxels.shape, volume.spacing, name)
    _check_numbers(volume.voxels, name)
    problem = _not_hounsfield(volume.voxels)
    if problem:
        raise InputError(f"{name} {problem}.")


def check_grid(shape: tuple[int, ...], spacing: tuple[float, ...], name: str) -> None:
    """InputError unless shape (z, y, x) and spacing (x, y, z) in mm are those of a volume."""
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
    if np.issubdtype(voxels.dtype, np.floating):
        bad = voxels.size - int(np.count_nonzero(np.isfinite(voxels)))
        if bad:
            raise InputError(f"{name} has {bad} voxels that are NaN or infinite; replace them, for air with -1000.")


def _not_hounsfield(voxels: np.ndarray) -> str:
    """What is wrong with the values, or an empty string. Only what no CT has is refused, so that crops pass."""
    low, high = float(voxels.min()), float(voxels.max())
    some = voxels.reshape(-1)[:: max(1, voxels.size // _SAMPLE)]
    span = f"(values {low:g} to {high:g})"
    if low == high:
        return f"has the same value everywhere {span}; {_HINT}"
    if high - low < 10:  # the noise of any CT spans more; 0…1 and -1…1 images do not
        return f"spans less than 10 HU {span} and looks rescaled; {_HINT}"
    if voxels.dtype.itemsize == 1 or (low >= 0 and high <= 255 and high - low > 200):  # a crop so wide has fat in it
        return f"looks like an 8-bit image {span}; {_HINT}, not one exported for display"
    if np.mean(some > 3071) > 0.01:  # 3071 ends the 12-bit scale; only metal lies above, never 1 % of a volume
        return f"has too many values above 3071 {span} to be a CT; {_HINT}"
    # so wide a range without fat, water or air, or nothing softer than bone: an MR, or an offset not applied
    if low >= 0 and (high - low > 400 or low > 600):
        return _unsigned(some, span)
    if np.percentile(some, 99.5) < -200:  # even lung is full of vessels; or the offset was applied twice
        return f"holds nothing denser than -200 HU {span}; {_HINT} that shows a patient"
    return ""


def _unsigned(some: np.ndarray, span: str) -> str:
    dense = some[some > 500]  # leaves out air (0…100 in an image with offset) and most lung
    # soft tissue, -150…300 HU, is most of what is not air in a CT; an MR has no such peak at 1024
    if dense.size > 0.02 * some.size and np.mean((dense > 874) & (dense < 1324)) > 0.5:
        return f"has no negative values {span}: its HU look offset by 1024; subtract 1024 from all voxels"
    return f"has no negative values {span}, so it looks like an MR or another image, not a CT; {_HINT}"
