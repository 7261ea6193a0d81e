"""NRRD files, written and read in small pieces so that Slicer never waits for a disk.

`writeNrrd` and `readNrrd` are generators that yield after each piece.
"""

import gzip
import zlib

import numpy as np

PIECE = 1 << 22  # bytes written or read between two yields: a few milliseconds
TYPES = {
    "int8": "int8", "uint8": "uint8", "int16": "short", "uint16": "ushort", "int32": "int", "uint32": "uint",
    "int64": "longlong", "uint64": "ulonglong", "float32": "float", "float64": "double",
}  # fmt: skip
NAMES = {
    **{name: key for key, name in TYPES.items()},
    **{key: key for key in TYPES},
    "signed char": "int8", "unsigned char": "uint8", "uchar": "uint8", "signed short": "int16", "short int": "int16",
    "unsigned short": "uint16", "signed int": "int32", "unsigned int": "uint32", "long long": "int64",
    "unsigned long long": "uint64",
}  # fmt: skip


def writeNrrd(path, voxels, ijkToRAS, compress=False, segments=None):
    """Write voxels (k, j, i) with their 4 × 4 matrix from index to RAS in mm. Generator. OSError if the disk is full.

    segments: the names of labels as {label: name}, written as in Slicer's segmentation files.
    """
    voxels = np.ascontiguousarray(voxels)
    packer = zlib.compressobj(1, zlib.DEFLATED, 31) if compress else None
    with open(path, "wb") as file:
        file.write(_header(voxels, np.asarray(ijkToRAS, float), compress, segments or {}))
        bytesOfVoxels = memoryview(voxels).cast("B")
        for start in range(0, len(bytesOfVoxels), PIECE):
            piece = bytesOfVoxels[start : start + PIECE]
            file.write(packer.compress(piece) if packer else piece)
            yield
        if packer:
            file.write(packer.flush())


def readNrrd(path):
    """Read a volume from a NRRD file.

    A generator; its return value is (voxels (k, j, i), 4 × 4 matrix from index to RAS in mm). ValueError if the file is
    not a NRRD volume as MedDiffFMLib or Slicer writes it.
    """
    with open(path, "rb") as file:
        fields = _fields(file)
        dtype = np.dtype(NAMES[fields["type"]])
        dtype = dtype.newbyteorder(">" if fields.get("endian") == "big" else "<")
        shape = tuple(int(size) for size in fields["sizes"].split())[::-1]
        if len(shape) != 3:
            raise ValueError(f"{path} holds {len(shape)} axes, not the three of a volume.")
        voxels = np.empty(shape, dtype)
        source = gzip.GzipFile(fileobj=file) if fields["encoding"] in ("gzip", "gz") else file
        target, start = memoryview(voxels).cast("B"), 0
        while start < len(target):
            piece = source.read(min(PIECE, len(target) - start))
            if not piece:
                raise ValueError(f"{path} ends before its last voxel.")
            target[start : start + len(piece)] = piece
            start += len(piece)
            yield
    return voxels.astype(dtype.newbyteorder("="), copy=False), _matrix(fields)


def _header(voxels, matrix, compress, segments):
    directions = " ".join(_vector(matrix[:3, axis]) for axis in range(3))
    lines = [
        "NRRD0004",
        f"type: {TYPES[voxels.dtype.name]}",
        "dimension: 3",
        "space: right-anterior-superior",
        f"sizes: {' '.join(str(size) for size in voxels.shape[::-1])}",
        f"space directions: {directions}",
        "kinds: domain domain domain",
        "endian: little",
        f"encoding: {'gzip' if compress else 'raw'}",
        f"space origin: {_vector(matrix[:3, 3])}",
    ]
    for number, (label, name) in enumerate(segments.items()):
        lines += [f"Segment{number}_ID:=Segment_{label}", f"Segment{number}_Name:={name}"]
        lines += [f"Segment{number}_LabelValue:={label}", f"Segment{number}_Layer:=0"]
    return ("\n".join(lines) + "\n\n").encode("utf-8")


def _vector(numbers):
    return "(" + ",".join(repr(float(number)) for number in numbers) + ")"


def _fields(file):
    """Read the header: its fields by name. The file is at the first voxel afterwards."""
    if not file.readline().startswith(b"NRRD"):
        raise ValueError(f"{file.name} is no NRRD file.")
    fields = {}
    for line in iter(file.readline, b""):
        text = line.decode("utf-8", "replace").strip()
        if not text:
            return fields
        name, colon, value = text.partition(":")
        if colon and not text.startswith("#"):
            fields[name.strip().lower()] = value.lstrip("= ").strip()
    raise ValueError(f"{file.name} has a header without an end.")


def _matrix(fields):
    """The 4 × 4 matrix from index to RAS in mm, from the header's directions and origin."""
    axes = np.array([_numbers(part) for part in fields["space directions"].replace(") (", ")|(").split("|")])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes.T, _numbers(fields["space origin"])
    if fields["space"].lower() in ("left-posterior-superior", "lps"):
        matrix[:2] *= -1
    return matrix


def _numbers(vector):
    return [float(part) for part in vector.strip("() ").split(",")]
