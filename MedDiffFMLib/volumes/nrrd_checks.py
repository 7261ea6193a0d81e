"""Checks of a NRRD header: its grid and values, and the fields that ITK passes over."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from ..errors import InputError
from .grid_checks import Reading, Statement
from .headers import read_nrrd_header

_TO_LPS = {  # the spaces that name parts of a body, and how their axes turn into LPS
    "right-anterior-superior": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "left-posterior-superior": (1, 1, 1),
}
_SHORT = {"ras": "right-anterior-superior", "las": "left-anterior-superior", "lps": "left-posterior-superior"}
_UNNAMED = ("", "scanner-xyz", "3d-right-handed")  # ITK reads them as LPS
_ENCODINGS = ("raw", "txt", "text", "ascii", "hex", "gz", "gzip")
_AGAIN = "correct its header, or export it again"


def nrrd_statement(path: Path) -> Statement:
    """The reading of a NRRD header; none if it has no space directions, or is of a single slice.

    InputError, naming the file, if it does not state the size of a voxel, or holds a field that changes place or values
    and that ITK passes over.
    """
    fields = nrrd_fields(read_nrrd_header(path))
    if fields.get("dimension", "0") in ("0", "1", "2"):  # no volume, or no NRRD
        return Statement([])
    space = fields.get("space", "").lower()
    space = _SHORT.get(space, space)
    if space not in _TO_LPS and space not in _UNNAMED:
        raise InputError(f"{path} is in the space {fields['space']!r}, which cannot be read; save it as LPS or RAS.")
    _check_values(fields, path)
    axes = _axes(fields, path)
    origin = _vectors(fields.get("space origin", ""))
    warnings = []
    if space not in _TO_LPS:
        warnings.append(
            f"{path.name} does not say where its axes point (space {fields.get('space', 'not given')}): they were "
            "taken to run to the left, the back and the head, as 3D Slicer does; check left and right."
        )
    elif not origin:
        warnings.append(
            f"{path.name} does not say where it lies (no space origin): its first voxel was put at 0, 0, 0 mm."
        )
    if axes is None:
        return Statement([], warnings)
    affine = np.eye(4)
    affine[:3, :3] = np.transpose(axes)
    affine[:3, 3] = origin[0] if origin else 0.0
    return Statement([Reading("its header", np.diag([*_TO_LPS.get(space, (1, 1, 1)), 1]) @ affine)], warnings)


def nrrd_fields(header: bytes) -> dict[str, str]:
    """The fields of a header by their names (small letters), without comments and pairs of key and value."""
    lines = (line.split(":", 1) for line in header.decode("latin-1").splitlines() if not line.startswith("#"))
    return {line[0].strip().lower(): line[1].strip() for line in lines if len(line) == 2 and line[1][:1] != "="}


def _check_values(fields: dict[str, str], path: Path) -> None:
    """Check the fields that change meaning: InputError if stored values or mm mean something else than they say."""
    encoding = fields.get("encoding", "raw").lower()
    if encoding not in _ENCODINGS:
        raise InputError(f"{path} is packed as {encoding}, which cannot be read; save it with gzip or raw encoding.")
    if not {"old min", "old max", "oldmin", "oldmax"}.isdisjoint(fields):
        raise InputError(
            f"{path} holds values that were mapped to others (old min, old max); save it with its original HU."
        )
    for unit in re.findall(r'"([^"]*)"', fields.get("space units", "") + fields.get("units", "")):
        if unit.strip().lower() not in ("", "mm", "millimeter", "millimeters", "millimetre", "???", "none"):
            raise InputError(f"{path} gives its grid in {unit!r} instead of mm; convert it to mm.")


def _axes(fields: dict[str, str], path: Path) -> list[list[float]] | None:
    """The three axes in mm, or None if only their lengths are given. InputError if the lengths are not."""
    axes = _vectors(fields.get("space directions", ""))
    lengths = [_number(word) for word in fields.get("spacings", "").split()]
    if axes and lengths:
        raise InputError(f"{path} says two things about its grid (spacings and space directions); {_AGAIN}.")
    if axes or "(" in fields.get("space directions", ""):  # of four dimensions: for ITK
        return axes if len(axes) == 3 else None
    if sum(math.isfinite(mm) for mm in lengths) < 3:
        raise InputError(f"{path} does not state the size of its voxels; give spacings or space directions, in mm.")
    return None


def _vectors(text: str) -> list[list[float]]:
    """The vectors in a text like (1,0,0) none (0,1,0), each of three numbers; NaN for what is no number."""
    vectors = [[_number(word) for word in part.split(",")] for part in re.findall(r"\(([^)]*)\)", text)]
    return [vector for vector in vectors if len(vector) == 3]


def _number(word: str) -> float:
    """A word as a number; NaN if it is none."""
    try:
        return float(word)
    except ValueError:
        return math.nan
