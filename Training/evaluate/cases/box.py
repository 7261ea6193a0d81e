"""A part of a volume, named in voxels: `--box X,Y,Z`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.volume import Volume

Box = tuple[str, str, str]  # x to left, y to posterior, z to superior: each "N", "A:B" or ":"


def read_box(text: str | None) -> Box | None:
    """The three parts of "X,Y,Z", each "N", "A:B" or ":"; None for None. InputError for anything else."""
    if text is None:
        return None
    parts = tuple(part.strip() for part in text.split(","))
    if len(parts) != 3 or not all(_is_range(part) for part in parts):
        raise InputError(f"--box cannot be {text!r}: write X,Y,Z, each a number of voxels, A:B, or : for all.")
    return parts


def _is_range(part: str) -> bool:
    first, colon, last = part.partition(":")
    if not colon:
        return part.isdecimal() and int(part) > 0
    return all(end == "" or end.isdecimal() for end in (first, last)) and _end(first, 0) < _end(last, 10**9)


def _end(text: str, otherwise: int) -> int:
    return int(text) if text else otherwise


def cut_box(volume: Volume, box: Box | None) -> Volume:
    """The box of an axial volume (axes LPS, see `cases.axial_slab`), as much as there is of it; InputError for nothing.

    box: x, y, z as of `read_box`; None for all.
    """
    if box is None:
        return volume
    size = volume.voxels.shape[::-1]
    ranges = [_range(part, n) for part, n in zip(box, size, strict=True)]
    if any(first >= last for first, last in ranges):
        voxels = " × ".join(map(str, size))
        raise InputError(f"The box {','.join(box)} lies outside of {volume.source}, which has {voxels} voxels.")
    first = np.array([r[0] for r in ranges])
    origin = volume.origin + np.reshape(volume.direction, (3, 3)) @ (first * volume.spacing)
    where = tuple(slice(*r) for r in ranges[::-1])
    voxels = np.ascontiguousarray(volume.voxels[where])
    return replace(volume, voxels=voxels, origin=tuple(map(float, origin)), grid_record=b"")


def _range(part: str, n: int) -> tuple[int, int]:
    first, colon, last = part.partition(":")
    if colon:
        return _end(first, 0), min(_end(last, n), n)
    count = min(int(part), n)
    return (n - count) // 2, (n - count) // 2 + count
