"""Checks of a NIfTI header: its grid and values, and whether all readers read them alike."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ..errors import InputError
from .checks import check_grid
from .grid_checks import Reading, Statement, from_ras
from .headers import NiftiHeader

_MM = {1: 1000.0, 3: 0.001}  # of the units' code: meters and micrometers; all else is mm
_AGAIN = "correct its header, or export it again"


def nifti_statement(header: NiftiHeader, path: Path) -> Statement:
    """The readings of the sform and of the qform, those whose code is set. InputError, naming the file, if there is
    none, or if readers disagree about a field.
    """
    _check_size(header, path)
    _check_scale(header, path)
    stored = np.array(header.pixdim[1:4])
    if not np.all(np.isfinite(stored) & (stored > 0)):  # ITK takes 0 for 1 mm, and a negative one for a mirror
        check_grid(header.dim[max(2, min(header.dim[0], 3)) : 0 : -1], stored, str(path))
    for name, code in (("qform", header.qform_code), ("sform", header.sform_code)):
        if code > 5:
            raise InputError(f"{path} has the {name} code {code}, which NIfTI does not know; {_AGAIN}.")
    mm = np.array([[_MM.get(header.units & 7, 1.0)]] * 3 + [[1.0]])
    readings = []
    if header.sform_code > 0:
        readings.append(Reading("its sform", from_ras(mm * np.array([*header.sform, (0, 0, 0, 1)]))))
    if header.qform_code > 0:
        readings.append(Reading("its qform", from_ras(mm * _qform(header, path))))
    if not readings:
        raise InputError(
            f"{path} does not say where its axes point (its qform and sform codes are 0): nibabel takes y to run to "
            "the front, ITK to the back; set its orientation and save it again, or export it from the DICOM series."
        )
    return Statement(readings)


def _qform(header: NiftiHeader, path: Path) -> np.ndarray:
    """The affine (4, 4) of quaternion, offsets and pixdim, RAS. InputError if the quaternion is no rotation."""
    b, c, d, *offsets = header.quaternion
    rest = 1 - b * b - c * c - d * d
    if not rest > -1e-3:  # NaN too
        raise InputError(f"{path} has a qform whose quaternion is not a rotation, so that readers differ; {_AGAIN}.")
    if header.pixdim[0] < 0 and header.pixdim[0] != -1:
        raise InputError(f"{path} has {header.pixdim[0]:g} for pixdim[0], which must be 1 or -1; {_AGAIN}.")
    a = math.sqrt(max(rest, 0.0))
    a, b, c, d = np.array([a, b, c, d]) / math.sqrt(a * a + b * b + c * c + d * d)
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    affine = np.eye(4)
    affine[:3, :3] = rotation * header.pixdim[1:4] * (1, 1, -1 if header.pixdim[0] < 0 else 1)
    affine[:3, 3] = offsets
    return affine


def _check_size(header: NiftiHeader, path: Path) -> None:
    """Check the dimensions: InputError if they are impossible, or fewer than the file holds."""
    used = header.dim[1 : 1 + max(0, min(header.dim[0], 7))]
    if header.magic[:2] not in (b"n+", b"ni") or not used or min(used) < 1 or header.dim[0] > 7:
        what = "an ANALYZE file, or damaged" if header.magic[:1] == b"\0" else f"damaged (dim {header.dim})"
        raise InputError(f"{path} is {what}; export it again as NIfTI.")
    unused = math.prod(max(n, 1) for n in header.dim[1 + header.dim[0] :])
    if unused > 1 and header.bytes_there >= header.data_start + unused * (header.bytes_needed - header.data_start):
        raise InputError(
            f"{path} says that it has {header.dim[0]} dimensions and holds the voxels of more (dim {header.dim}); "
            f"{_AGAIN}."
        )


def _check_scale(header: NiftiHeader, path: Path) -> None:
    """Check slope and intercept: InputError if they can be read in two ways. A slope of 0 or NaN alone means none."""
    slope, intercept = header.scale
    scaled = slope != 0 and math.isfinite(slope)
    if (scaled and not math.isfinite(intercept)) or (not scaled and intercept != 0 and math.isfinite(intercept)):
        raise InputError(
            f"{path} has the slope {slope:g} with the intercept {intercept:g} (scl_slope, scl_inter), which readers "
            f"take differently; {_AGAIN}."
        )
