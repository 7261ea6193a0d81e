"""Read and write volumes: NIfTI, NRRD, MHA and MHD files, and DICOM folders (read only).

Geometry: what is read from NIfTI, NRRD or MHA and written in the same format reads back bit-exact. Into another
format: MHA is exact, NRRD within one unit in the last place of a double, NIfTI within float32 (about 1e-7 of the
value).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import SimpleITK as sitk

from ..atomic import check_place, hidden_name, move_into_place
from ..errors import DiskFullError, InputError, kind_of
from .gzip_writing import write_gzip
from .headers import put_nifti_grid, put_nrrd_grid, read_nifti_header
from .itk import check_name, quiet
from .label_reading import as_labels, read_labels, resample_labels_to
from .reading import read_layers, read_volume, suffix_of
from .volume import Volume

__all__ = [
    "as_labels",
    "check_folder",
    "check_output",
    "read_labels",
    "read_layers",
    "read_volume",
    "resample_labels_to",
    "write_volume",
]
_WRITABLE = (".nii.gz", ".nii", ".nrrd", ".mha")


def write_volume(
    volume: Volume, path: str | os.PathLike, overwrite: bool = False, named: str | os.PathLike | None = None
) -> None:
    """Write a volume as .nii, .nii.gz, .nrrd or .mha, whole or not at all: into a hidden file beside it, then renamed.

    named: what messages call it, where `path` is a hidden name itself. Only .nii.gz is compressed. Raises InputError
    as `check_output` does, or if the disk is full.
    """
    path = check_output(path, overwrite)
    suffix = suffix_of(path)
    stem = hidden_name(path, "")
    plain, copy, zipped = (
        Path(f"{stem}{end}") for end in (".nii" if suffix == ".nii.gz" else suffix, ".copy.nrrd", ".gz")
    )
    try:
        _write_plain(volume, plain, copy)
        if suffix == ".nii.gz":
            write_gzip(plain, zipped)
            move_into_place(zipped, path)
        else:
            move_into_place(plain, path)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).strip().splitlines()[-1]
        full = kind_of(error) == "disk-full" or not _has_room(plain, volume.voxels.nbytes)
        refusal = DiskFullError if full else InputError
        raise refusal(
            f"{named or path} could not be written ({reason}); check the free space and permissions."
        ) from None
    finally:
        for part in (plain, copy, zipped):
            part.unlink(missing_ok=True)


def _has_room(path: Path, count: int) -> bool:
    """Whether a file of so many bytes can be written: a full disk, a quota or a limit may prevent it, and ITK does not
    say which.
    """
    if not hasattr(os, "posix_fallocate"):
        return shutil.disk_usage(path.parent).free >= count
    try:
        with open(path, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, count)
    except OSError as error:
        return kind_of(error) != "disk-full"
    return True


def check_output(path: str | os.PathLike, overwrite: bool = False) -> Path:
    """The path, if a volume can be written there. Call it before any work; InputError says what is in the way."""
    path = Path(path)
    if suffix_of(path) not in _WRITABLE:
        raise InputError(f"{path} is not a format that can be written; end its name with {', '.join(_WRITABLE)}.")
    return check_folder(path, overwrite)


def check_folder(path: Path, overwrite: bool = False) -> Path:
    """The path, if a file of any kind can be written there; InputError says what is in the way."""
    check_place(check_name(path))
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file.")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already; choose another name or allow overwriting it (--overwrite).")
    return path


def _write_plain(volume: Volume, plain: Path, copy: Path) -> None:
    """Write an uncompressed file and put the header's own bytes about the grid back where they still hold."""
    with quiet():
        sitk.WriteImage(volume.to_sitk(), str(plain), useCompression=False)
    if plain.stat().st_size < volume.voxels.nbytes:
        raise OSError("the file is cut short")
    record = volume.grid_record
    if plain.suffix == ".nii" and len(record) == len(written := read_nifti_header(plain).grid):
        put_nifti_grid(plain, record)
        if not _reads_back(volume, plain):
            put_nifti_grid(plain, written)
    elif plain.suffix == ".nrrd" and record.startswith(b"space"):
        put_nrrd_grid(plain, record, copy)
        if _reads_back(volume, copy):
            os.replace(copy, plain)


def _reads_back(volume: Volume, path: Path) -> bool:
    """Whether ITK reads the volume's geometry back from a file exactly."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        with quiet():
            reader.ReadImageInformation()
    except RuntimeError:
        return False
    stored = (reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection(), reader.GetSize())
    return stored == (volume.spacing, volume.origin, volume.direction, volume.voxels.shape[::-1])
