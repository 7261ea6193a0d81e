"""Read and write volumes: NIfTI, NRRD, MHA and MHD files, and DICOM folders (read only).

Geometry: what is read from NIfTI, NRRD or MHA and written in the same format reads back bit-exact. Into another
format: MHA is exact, NRRD within one unit in the last place of a double, NIfTI within float32 (about 1e-7 of the
value).
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .dicom_files import is_dicom
from .errors import DiskFullError, InputError, kind_of
from .itk import check_name, quiet
from .volume import Volume
from .volume_checks import check_grid
from .volume_header import (
    check_compressed_data,
    put_nifti_grid,
    put_nrrd_grid,
    read_nifti_header,
    read_nrrd_grid,
)

_READERS = {
    ".nii.gz": "NiftiImageIO",
    ".nii": "NiftiImageIO",
    ".nrrd": "NrrdImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
}
_WRITABLE = (".nii.gz", ".nii", ".nrrd", ".mha")
_SHEAR_DEGREES = 0.1  # below, axes are squared up: 0.5 mm at the end of a 300 mm volume; above it is a gantry tilt


def read_volume(path: str | os.PathLike) -> Volume:
    """A volume from a file (.nii .nii.gz .nrrd .mha .mhd) or a DICOM folder; voxels (z, y, x), spacing in mm.

    Integers that fit become int16 (8-bit ones stay), all else float32; rescale slope and intercept are applied.
    Raises InputError for a missing, damaged or truncated file and for anything but one scalar 3D volume.
    Whether the values are a CT's is for `check_ct`.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path.")
    suffix = _suffix(path)
    if path.is_dir() or (suffix not in _READERS and is_dicom(path)):
        from .dicom import read_dicom_folder

        return read_dicom_folder(path)
    if suffix not in _READERS:
        raise InputError(f"{path} is not a format that can be read; give {', '.join(_READERS)} or a DICOM folder.")
    try:
        if suffix in (".nii", ".nii.gz"):
            return _read_nifti(path)
        check_compressed_data(path)
        volume = _as_volume(_read_image(path, _READERS[suffix]), path)
        return replace(volume, grid_record=read_nrrd_grid(path)) if suffix == ".nrrd" else volume
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); check its permissions.") from None


def write_volume(volume: Volume, path: str | os.PathLike, overwrite: bool = False) -> None:
    """Write .nii .nii.gz .nrrd or .mha, whole or not at all: into a hidden file beside it, then renamed.

    Only .nii.gz is compressed. Raises InputError as `check_output` does, or if the disk is full.
    """
    path = check_output(path, overwrite)
    suffix = _suffix(path)
    stem = path.with_name(f".{uuid.uuid4().hex}.part")
    plain, copy, zipped = (
        Path(f"{stem}{end}") for end in (".nii" if suffix == ".nii.gz" else suffix, ".copy.nrrd", ".gz")
    )
    try:
        _write_plain(volume, plain, copy)
        if suffix == ".nii.gz":
            _gzip(plain, zipped)
            os.replace(zipped, path)
        else:
            os.replace(plain, path)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).strip().splitlines()[-1]
        full = kind_of(error) == "disk-full" or not _has_room(plain, volume.voxels.nbytes)
        refusal = DiskFullError if full else InputError
        raise refusal(f"{path} could not be written ({reason}); check the free space and permissions.") from None
    finally:
        for part in (plain, copy, zipped):
            part.unlink(missing_ok=True)


def _has_room(path: Path, count: int) -> bool:
    """Whether a file of so many bytes can be there: the disk, a quota or a limit may be in the way, and ITK says not
    which.
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
    if _suffix(path) not in _WRITABLE:
        raise InputError(f"{path} is not a format that can be written; end its name with {', '.join(_WRITABLE)}.")
    return check_folder(path, overwrite)


def check_folder(path: Path, overwrite: bool = False) -> Path:
    """The path, if a file of any kind can be written there; InputError says what is in the way."""
    folder = check_name(path).parent
    if not folder.is_dir():
        raise InputError(f"{path} cannot be written, its folder does not exist; create {folder} first.")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file.")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already; choose another name or allow overwriting it (--overwrite).")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{path} cannot be written, its folder is read-only; choose another folder.")
    return path


def read_labels(path: str | os.PathLike, like: Volume | None = None) -> Volume:
    """A label map: uint8 or uint16 voxels (z, y, x), 0 is background.

    With `like` it comes back on that volume's grid: as it is if the grids agree, else by nearest neighbour, which
    `resampled` then tells. InputError if values are no labels or if the labels lie outside of `like`.
    """
    labels = as_labels(read_volume(path))
    return labels if like is None else onto_grid(labels, like)


def as_labels(volume: Volume) -> Volume:
    """A volume as a label map of uint8 or uint16. InputError if its values are no labels."""
    low, high = volume.voxels.min(), volume.voxels.max()
    whole = np.issubdtype(volume.voxels.dtype, np.integer) or np.array_equal(volume.voxels, np.rint(volume.voxels))
    if not whole or low < 0 or high > 65535:
        raise InputError(
            f"{volume.source} is not a label map (values {low:g} to {high:g}); give whole numbers, 0 for background."
        )
    return volume.with_voxels(volume.voxels.astype(np.uint8 if high < 256 else np.uint16))


def onto_grid(labels: Volume, like: Volume) -> Volume:
    """A label map on the grid of `like`: as it is if the grids agree, else by nearest neighbour (`resampled`).

    InputError if the labels lie outside of `like`.
    """
    if labels.same_grid(like):
        return replace(like, voxels=labels.voxels, source=labels.source, resampled=False, warnings=labels.warnings)
    target = sitk.Image(like.voxels.shape[::-1], sitk.sitkUInt8)
    target.SetSpacing(like.spacing)
    target.SetOrigin(like.origin)
    target.SetDirection(like.direction)
    # one more than the label, so that 0 means outside of the label map
    shifted = labels.with_voxels(labels.voxels.astype(np.int32) + 1).to_sitk()
    voxels = sitk.GetArrayFromImage(sitk.Resample(shifted, target, sitk.Transform(), sitk.sitkNearestNeighbor, 0))
    if not voxels.any() or (labels.voxels.any() and voxels.max() == 1):
        other = like.source or "the CT"
        raise InputError(f"The labels of {labels.source} lie outside of {other}; give the label map made for this CT.")
    voxels = np.maximum(voxels - 1, 0).astype(labels.voxels.dtype)
    return replace(like, voxels=voxels, source=labels.source, resampled=True, warnings=labels.warnings)


def read_layers(path: str | os.PathLike) -> list[Volume]:
    """The layers of a NRRD file whose voxels may hold several values, as a segmentation with overlaps of 3D Slicer.

    InputError as `read_volume`.
    """
    path = Path(path)
    check_compressed_data(path)
    image = _read_image(path, "NrrdImageIO", several=True)
    parts = image.GetNumberOfComponentsPerPixel()
    layers = [sitk.VectorIndexSelectionCast(image, i) for i in range(parts)] if parts > 1 else [image]
    return [_as_volume(layer, path) for layer in layers]


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def _read_nifti(path: Path) -> Volume:
    header = read_nifti_header(path)
    if header.not_finite:
        raise InputError(
            f"{path} has {header.not_finite} voxels that are NaN or infinite; replace them, for air with -1000."
        )
    stored = np.abs(header.pixdim[1:4])
    if not np.all(np.isfinite(stored) & (stored > 0)):  # ITK would take it for 1 mm
        check_grid(header.dim[max(2, min(header.dim[0], 3)) : 0 : -1], stored, str(path))
    try:
        image, squared_up = _read_image(path, "NiftiImageIO"), False
    except _NotOrthonormal:
        if header.shear_degrees > _SHEAR_DEGREES:
            raise InputError(
                f"{path} has voxel axes {90 - header.shear_degrees:.1f}° apart instead of 90° (a gantry tilt?); "
                "resample it onto a right-angled grid first."
            ) from None
        with _permissive_sform():
            image, squared_up = _read_image(path, "NiftiImageIO"), True
    volume = _as_volume(image, path)
    return volume if squared_up else replace(volume, grid_record=header.grid)


class _NotOrthonormal(Exception):
    """ITK found no right-angled axes in the file."""


@contextlib.contextmanager
def _permissive_sform() -> Iterator[None]:
    """ITK then takes the nearest right-angled axes."""
    name = "ITK_NIFTI_SFORM_PERMISSIVE"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _read_image(path: Path, reader_name: str, several: bool = False) -> sitk.Image:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(check_name(path)))
    reader.SetImageIO(reader_name)
    try:
        with quiet():
            reader.ReadImageInformation()
            if reader.GetNumberOfComponents() > 1 and not several:
                raise InputError(
                    f"{path} has {reader.GetNumberOfComponents()} values a voxel (colour or vectors); give a scalar CT."
                )
            return _one_frame(reader.Execute(), path)
    except RuntimeError as error:
        reason = str(error).lower()
        if "orthonormal" in reason:
            raise _NotOrthonormal from None
        if "spacing" in reason:
            raise InputError(f"{path} has a voxel spacing of zero; correct its header or export it again.") from None
        raise InputError(
            f"{path} cannot be read: it is damaged, cut short or not what its name says; export or download it again."
        ) from None


def _one_frame(image: sitk.Image, path: Path) -> sitk.Image:
    size = image.GetSize()
    if len(size) < 3:
        raise InputError(f"{path} is a single slice ({' × '.join(map(str, size))} pixels); give the whole 3D volume.")
    if any(n > 1 for n in size[3:]):
        raise InputError(f"{path} has {max(size[3:])} frames in time; give one 3D volume (one frame).")
    return sitk.Extract(image, [*size[:3], *[0] * (len(size) - 3)]) if len(size) > 3 else image


def _as_volume(image: sitk.Image, path: Path) -> Volume:
    volume = Volume.from_sitk(image, str(path))
    check_grid(volume.voxels.shape, volume.spacing, str(path))
    return volume.with_voxels(_plain_type(volume.voxels))


def _plain_type(voxels: np.ndarray) -> np.ndarray:
    if np.issubdtype(voxels.dtype, np.integer):
        if voxels.dtype.itemsize == 1 or voxels.dtype == np.int16:
            return voxels
        if voxels.min() >= -32768 and voxels.max() <= 32767:
            return voxels.astype(np.int16)
    return voxels.astype(np.float32, copy=False)


def _write_plain(volume: Volume, plain: Path, copy: Path) -> None:
    """Write an uncompressed file and put the header's own bytes about the grid back where they still hold."""
    with quiet():
        sitk.WriteImage(volume.to_sitk(), str(plain), useCompression=False)
    if plain.stat().st_size < volume.voxels.nbytes:
        raise OSError("the file is cut short")
    record = volume.grid_record
    if plain.suffix == ".nii" and len(record) == len(ours := read_nifti_header(plain).grid):
        put_nifti_grid(plain, record)
        if not _reads_back(volume, plain):
            put_nifti_grid(plain, ours)
    elif plain.suffix == ".nrrd" and record.startswith(b"space"):
        put_nrrd_grid(plain, record, copy)
        if _reads_back(volume, copy):
            os.replace(copy, plain)


def _reads_back(volume: Volume, path: Path) -> bool:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        with quiet():
            reader.ReadImageInformation()
    except RuntimeError:
        return False
    stored = (reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection(), reader.GetSize())
    return stored == (volume.spacing, volume.origin, volume.direction, volume.voxels.shape[::-1])


def _gzip(plain: Path, zipped: Path) -> None:
    with open(plain, "rb") as source, open(zipped, "wb") as target:
        with gzip.GzipFile("", "wb", 5, target, mtime=0) as packed:  # no name and no date in the file
            shutil.copyfileobj(source, packed, 1 << 20)
