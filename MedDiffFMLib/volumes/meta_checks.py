"""Checks of a MetaImage's header (MHA, MHD): its grid and values, and the fields that ITK passes over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .grid_checks import Reading, Statement
from .headers import read_meta_header

_AGAIN = "correct its header, or export it again"
_LETTERS = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}  # MetaImage names where an axis comes from


def meta_statement(path: Path) -> Statement:
    """The reading of a MetaImage's header; of a single slice, nothing.

    InputError, naming the file, if it does not state the size of a voxel, contradicts itself, or holds a field that
    changes place or values and that ITK passes over.
    """
    fields, names = read_meta_header(path)
    if not any(key == "NDims" and value in ("3", "4", "5") for key, value in fields):
        return Statement([])
    _check_values(fields, path)
    _check_files(dict(fields), names, path)
    matrix = _only(fields, ("TransformMatrix", "Rotation", "Orientation"), path)
    offset = _only(fields, ("Offset", "Position", "Origin"), path)
    spacing, size = _only(fields, ("ElementSpacing",), path), _only(fields, ("ElementSize",), path)
    if len(spacing or size) < 3:
        raise InputError(f"{path} does not state the size of its voxels (ElementSpacing); {_AGAIN}.")
    if min((spacing or size)[:3]) < 0:  # ITK mirrors the axis
        raise InputError(f"{path} has a negative ElementSpacing; {_AGAIN}.")
    affine = np.eye(4)
    if matrix:
        count = round(len(matrix) ** 0.5)
        if count < 3 or count**2 != len(matrix):
            raise InputError(f"{path} has a TransformMatrix of {len(matrix)} numbers instead of 9; {_AGAIN}.")
        affine[:3, :3] = np.reshape(matrix, (count, count))[:3, :3].T  # a row of the file is an axis
    if np.abs(np.linalg.norm(affine[:3, :3], axis=0) - 1).max() > 1e-3:  # NaN and zeros are for `check_readings`
        raise InputError(f"{path} has a TransformMatrix whose axes are not of length 1; {_AGAIN}.")
    warnings = _warnings(fields, affine, path)
    affine[:3, :3] *= (spacing or size)[:3]
    affine[:3, 3] = offset[:3] if offset else 0.0
    return Statement([Reading("its header", affine)], warnings)


def _warnings(fields: list[tuple[str, str]], axes: np.ndarray, path: Path) -> list[str]:
    """The warnings about what the header leaves open. axes: affine with the axes' directions."""
    header = dict(fields)
    warnings = []
    if header.keys().isdisjoint(("TransformMatrix", "Rotation", "Orientation")):
        warnings.append(
            f"{path.name} does not say where its axes point (no TransformMatrix): they were taken to run to the left, "
            "the back and the head, as 3D Slicer does; check left and right."
        )
    if header.keys().isdisjoint(("Offset", "Position", "Origin")):
        warnings.append(f"{path.name} does not say where it lies (no Offset): its first voxel was put at 0, 0, 0 mm.")
    to = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(axes[:3, :3].ravel().tolist())
    code = header.get("AnatomicalOrientation", "").upper()
    of_matrix = "".join(_LETTERS.get(letter, "") for letter in to)
    if len(code) == 3 and set(code) <= set(_LETTERS) and code not in (of_matrix, to):  # some programs name the ends
        warnings.append(
            f"{path.name} says two things about its axes, AnatomicalOrientation {code} and a TransformMatrix that is "
            f"{of_matrix}: the matrix was taken, as 3D Slicer does; check left and right."
        )
    if (
        "ElementSize" in header
        and "ElementSpacing" in header
        and _numbers(header["ElementSize"]) != _numbers(header["ElementSpacing"])
    ):
        warnings.append(
            f"{path.name} has voxels of {header['ElementSize']} mm (ElementSize) at distances of "
            f"{header['ElementSpacing']} mm (ElementSpacing): the distances were taken."
        )
    return warnings


def _check_values(fields: list[tuple[str, str]], path: Path) -> None:
    """Check the fields that change meaning: InputError if stored values or mm mean something else than they say."""
    header = dict(fields)
    scale = [_numbers(header.get(f"ElementToIntensityFunction{end}", "")) for end in ("Slope", "Offset")]
    if scale[0] not in ([], [1.0]) or scale[1] not in ([], [0.0]):
        raise InputError(
            f"{path} maps its stored values to others (ElementToIntensityFunctionSlope and Offset), which is not "
            "supported; save it with its HU."
        )
    unit = header.get("DistanceUnits", "mm").lower()
    if unit not in ("mm", "millimeters", "?", ""):
        raise InputError(f"{path} gives its grid in {unit!r} (DistanceUnits) instead of mm; convert it to mm.")
    orders = {header[key].lower() for key in ("BinaryDataByteOrderMSB", "ElementByteOrderMSB") if key in header}
    if len(orders) > 1:
        raise InputError(f"{path} says two things about its byte order; {_AGAIN}.")
    if header.get("ElementDataFile", "").upper() == "LOCAL" and _numbers(header.get("HeaderSize", "")) > [0.0]:
        raise InputError(f"{path} skips bytes of its own header (HeaderSize) to find its voxels; {_AGAIN}.")
    if header.get("CompressedData", "").lower() == "true" and "CompressedDataSize" not in header:
        raise InputError(f"{path} is compressed and does not say how far (CompressedDataSize); save it uncompressed.")


def _check_files(header: dict[str, str], names: list[str], path: Path) -> None:
    """Check the list of files: InputError if there are fewer than slices: ITK leaves the rest as it is in memory."""
    file, sizes = header.get("ElementDataFile", "").split(), _numbers(header.get("DimSize", ""))
    if len(sizes) < 3:
        return
    if file[:1] == ["LIST"] and file[1:] in ([], ["2"], ["2D"]):
        count = len(names)
    elif len(file) == 4 and "%" in file[0] and np.isfinite(numbers := _numbers(" ".join(file[1:]))).all():
        first, last, step = map(int, numbers)
        count = len(range(first, last + 1, max(step, 1)))
    else:
        return
    if count < sizes[2]:
        raise InputError(
            f"{path} names {count} files for {sizes[2]:g} slices (ElementDataFile); give all of its files."
        )


def _only(fields: list[tuple[str, str]], keys: tuple[str, ...], path: Path) -> list[float]:
    """The numbers of one field that has several names; empty without it. InputError if it is there twice and differs,
    or if a number is NaN, which ITK takes for 0.
    """
    matches = [(key, _numbers(value)) for key, value in fields if key in keys]
    if len({tuple(numbers) for _, numbers in matches}) > 1:
        names = " and ".join(key for key, _ in matches)
        raise InputError(f"{path} says two things about its grid ({names} differ); {_AGAIN}.")
    if matches and not np.isfinite(matches[0][1]).all():
        raise InputError(f"{path} has numbers that are NaN or infinite in its {matches[0][0]}; {_AGAIN}.")
    return matches[0][1] if matches else []


def _numbers(text: str) -> list[float]:
    """The numbers of a line, NaN for a word that is none."""
    numbers = []
    for word in text.split():
        try:
            numbers.append(float(word))
        except ValueError:
            numbers.append(float("nan"))
    return numbers
