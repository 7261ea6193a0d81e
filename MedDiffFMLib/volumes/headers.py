"""NIfTI and NRRD headers, read and written back byte for byte.

ITK rebuilds these headers from spacing and direction: NIfTI stores them as float32 (twice: quaternion and matrix),
NRRD as their product. Reading what it wrote gives numbers that are off in the last place, and more after each
round. So the header's own bytes about the grid travel with the volume and replace ITK's when the same format is
written.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import InputError

_NIFTI_GRID = ((76, "8f"), (123, "B"), (252, "2h18f"))  # pixdim; units; qform and sform with their codes
_NRRD_GRID = re.compile(rb"^(space|space directions|space origin):.*$", re.MULTILINE)
_NIFTI_BITS = {2: 8, 4: 16, 8: 32, 16: 32, 64: 64, 256: 8, 512: 16, 768: 32, 1024: 64, 1280: 64}  # by datatype
_CHUNK = 1 << 22


@dataclass(frozen=True)
class NiftiHeader:
    """The fields of a NIfTI-1 header that ITK does not check: everything is as stored."""

    dim: tuple[int, ...]
    bytes_needed: int
    pixdim: tuple[float, ...]
    units: int
    qform_code: int
    sform_code: int
    quaternion: tuple[float, ...]  # b, c, d and the offsets x, y, z
    sform: tuple[tuple[float, ...], ...]  # three rows, whatever the code
    scale: tuple[float, float]  # slope and intercept
    magic: bytes
    grid: bytes
    data_start: int = 352
    float_type: str = ""  # numpy's name of the stored type, if it is a floating point type
    bytes_there: int = 0
    not_finite: int = 0  # voxels that are NaN or infinite: ITK turns them into 0 without a word


def open_plain(path: Path) -> BinaryIO:
    """The opened file, decompressed if it is gzip (whatever its name says)."""
    with open(path, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if zipped else open(path, "rb")


def read_nifti_header(path: Path) -> NiftiHeader:
    """The header of a NIfTI file. InputError if it is not NIfTI-1 or ends before its last voxel (ITK returns zeros
    there).
    """
    try:
        with open_plain(path) as file:
            raw = file.read(348)
            header = _parse_nifti(raw, path)
            total, not_finite = len(raw) + len(file.read(header.data_start - len(raw))), 0
            while chunk := file.read(_CHUNK):  # to the end: gzip's checksum comes last
                total += len(chunk)
                if header.float_type:
                    size = np.dtype(header.float_type).itemsize
                    numbers = np.frombuffer(chunk[: len(chunk) // size * size], header.float_type)
                    not_finite += numbers.size - int(np.count_nonzero(np.isfinite(numbers)))
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise _cut_short(path) from None
    if total < header.bytes_needed:
        raise _cut_short(path)
    return replace(header, bytes_there=total, not_finite=not_finite)


def _parse_nifti(raw: bytes, path: Path) -> NiftiHeader:
    """The header in the first 348 bytes of a file. InputError, naming it, if they are none."""
    order = {struct.pack("<i", 348): "<", struct.pack(">i", 348): ">"}.get(raw[:4])
    if raw[:4] in (struct.pack("<i", 540), struct.pack(">i", 540)):
        raise InputError(f"{path} is a NIfTI-2 file, which is not supported; save it as NIfTI-1 (.nii.gz) or NRRD.")
    if order is None or len(raw) < 348:
        raise InputError(f"{path} is not a NIfTI file or its header is damaged; export or download the volume again.")
    dim = struct.unpack_from(order + "8h", raw, 40)
    kind, bits = struct.unpack_from(order + "2h", raw, 70)
    offset, *scale = struct.unpack_from(order + "3f", raw, 108)
    fields = [struct.unpack_from(order + kind, raw, at) for at, kind in _NIFTI_GRID]
    pixdim, (units,), (qcode, scode, *numbers) = fields
    voxels = math.prod(max(n, 1) for n in dim[1 : 1 + max(0, min(dim[0], 7))])
    start = int(offset) if math.isfinite(offset) else 0
    return NiftiHeader(
        dim=dim,
        bytes_needed=start + voxels * max(bits, _NIFTI_BITS.get(kind, 0)) // 8,
        pixdim=pixdim,
        units=units,
        qform_code=qcode,
        sform_code=scode,
        quaternion=tuple(numbers[:6]),
        sform=tuple(tuple(numbers[i : i + 4]) for i in (6, 10, 14)),
        scale=tuple(scale),
        magic=raw[344:348],
        grid=b"".join(struct.pack("<" + kind, *values) for (_, kind), values in zip(_NIFTI_GRID, fields, strict=True)),
        data_start=max(start, len(raw)),
        float_type={16: order + "f4", 64: order + "f8"}.get(kind, ""),
    )


def _cut_short(path: Path) -> InputError:
    """The error of a file whose end is missing."""
    return InputError(f"{path} is damaged or cut short (its end is missing); export or download the volume again.")


def put_nifti_grid(path: Path, grid: bytes) -> None:
    """Replace the grid fields of an uncompressed little-endian NIfTI-1 file."""
    with open(path, "r+b") as file:
        for at, kind in _NIFTI_GRID:
            size = struct.calcsize("<" + kind)
            file.seek(at)
            file.write(grid[:size])
            grid = grid[size:]


def read_nrrd_header(path: Path) -> bytes:
    """The header of a NRRD file, up to and including the empty line that ends it."""
    with open(path, "rb") as file:
        return _nrrd_header(file)


def read_nrrd_grid(path: Path) -> bytes:
    """The lines about space in the header of a NRRD file."""
    header = read_nrrd_header(path)
    return b"\n".join(match.group(0).rstrip(b"\r") for match in _NRRD_GRID.finditer(header))


def put_nrrd_grid(path: Path, grid: bytes, copy_to: Path) -> None:
    """Write a copy of a NRRD file with these lines about space."""
    lines = {line.split(b":")[0]: line for line in grid.split(b"\n")}
    with open(path, "rb") as source, open(copy_to, "wb") as target:
        header = _nrrd_header(source)
        target.write(_NRRD_GRID.sub(lambda match: lines.get(match.group(1), match.group(0)), header))
        while chunk := source.read(_CHUNK):
            target.write(chunk)


def _nrrd_header(file: BinaryIO) -> bytes:
    """The header, up to and including the empty line that ends it; `file` is then positioned at the data."""
    lines = []
    while line := file.readline(65536):
        lines.append(line)
        if not line.strip():
            break
    return b"".join(lines)


def check_compressed_data(path: Path) -> None:
    """Check a NRRD or MHA file's compressed voxels: InputError if they fail their checksum, which ITK does not see."""
    try:
        with open(path, "rb") as file:
            if path.suffix.lower() == ".nrrd":
                header = _nrrd_header(file)
                if re.search(rb"^encoding: *(gzip|gz)\s*$", header, re.MULTILINE) and b"data file:" not in header:
                    _drain(gzip.GzipFile(fileobj=file))
            else:
                fields = dict(_meta_header(file))
                if fields.get("CompressedData", "").lower() == "true" and fields.get("ElementDataFile") == "LOCAL":
                    _check_zlib(file, path)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise _cut_short(path) from None


def _drain(file: BinaryIO) -> None:
    """Read a file to its end: gzip's checksum comes last."""
    while file.read(_CHUNK):
        pass


def read_meta_header(path: Path) -> tuple[list[tuple[str, str]], list[str]]:
    """The fields (name, value) of a MetaImage's header in their order, and the files that it lists after them."""
    with open(path, "rb") as file:
        fields = _meta_header(file)
        listed = fields[-1:] and fields[-1][0] == "ElementDataFile" and fields[-1][1].startswith("LIST")
        return fields, [n for n in file.read().decode("latin-1").splitlines() if n.strip()] if listed else []


def _meta_header(file: BinaryIO) -> list[tuple[str, str]]:
    """The fields of a MetaImage's header; `file` is then positioned behind them.

    The header ends with the line ElementDataFile.
    """
    fields = []
    while line := file.readline(65536):
        key, _, value = line.decode("latin-1").partition("=")
        fields.append((key.strip(), value.strip()))
        if key.strip() == "ElementDataFile":
            break
    return fields


def _check_zlib(file: BinaryIO, path: Path) -> None:
    """Check compressed voxels to their end. InputError if it is missing."""
    stream = zlib.decompressobj()
    while not stream.eof and (chunk := file.read(1 << 20)):
        stream.decompress(chunk)
    if not stream.eof:
        raise _cut_short(path)
