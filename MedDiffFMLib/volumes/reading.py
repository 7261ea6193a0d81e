"""Read a volume: NIfTI, NRRD, MHA and MHD files, and DICOM folders."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .checks import check_grid
from .dicom.files import is_dicom
from .grid_checks import Reading, Statement, affine_of, check_readings, check_right_angles
from .headers import check_compressed_data, read_nifti_header, read_nrrd_grid
from .itk import check_name, quiet
from .meta_checks import meta_statement
from .nifti_checks import nifti_statement
from .nrrd_checks import nrrd_statement
from .volume import Volume

_READERS = {
    ".nii.gz": "NiftiImageIO",
    ".nii": "NiftiImageIO",
    ".nrrd": "NrrdImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
}
READABLE = tuple(_READERS)  # the endings of files that can be read


def read_volume(path: str | os.PathLike) -> Volume:
    """A volume from a file (.nii .nii.gz .nrrd .mha .mhd) or a DICOM folder; voxels (z, y, x), spacing in mm.

    Integers that fit become int16 (8-bit ones stay), all else float32; rescale slope and intercept are applied.
    Raises InputError for a missing, damaged or truncated file, for anything but one scalar 3D volume, and if readers
    could place its voxels differently; what had to be guessed is among the volume's `warnings`.
    Whether the values are a CT's is for `check_ct`.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path.")
    suffix = suffix_of(path)
    if path.is_dir() or (suffix not in _READERS and is_dicom(path)):
        from .dicom.reading import read_dicom_folder

        return read_dicom_folder(path)
    if suffix not in _READERS:
        raise InputError(f"{path} is not a format that can be read; give {', '.join(_READERS)} or a DICOM folder.")
    try:
        return _read_nifti(path) if suffix in (".nii", ".nii.gz") else _read_text_header(path, suffix)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); check its permissions.") from None


def read_layers(path: str | os.PathLike) -> list[Volume]:
    """The layers of a NRRD file whose voxels may hold several values, as a segmentation with overlaps of 3D Slicer.

    InputError as `read_volume`.
    """
    path = Path(path)
    check_compressed_data(path)
    statement = _statement(path, ".nrrd")
    image = _read_image(path, "NrrdImageIO", several=True)
    parts = image.GetNumberOfComponentsPerPixel()
    first, *others = [sitk.VectorIndexSelectionCast(image, i) for i in range(parts)] if parts > 1 else [image]
    return [_checked(_as_volume(first, path), statement), *(_as_volume(layer, path) for layer in others)]


def suffix_of(path: Path) -> str:
    """A file name's ending in small letters, .nii.gz as one."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def _read_nifti(path: Path) -> Volume:
    """The volume in a NIfTI file."""
    header = read_nifti_header(path)
    if header.not_finite:
        raise InputError(
            f"{path} has {header.not_finite} voxels that are NaN or infinite; replace them, for air with -1000."
        )
    statement = nifti_statement(header, path)
    check_readings(statement.readings, header.dim[1:4], str(path))
    with _permissive_sform():
        volume = _as_volume(_read_image(path, "NiftiImageIO"), path)
    return replace(_checked(volume, statement), grid_record=header.grid)


def _read_text_header(path: Path, suffix: str) -> Volume:
    """The volume in a NRRD, MHA or MHD file."""
    check_compressed_data(path)
    statement = _statement(path, suffix)
    volume = _checked(_as_volume(_read_image(path, _READERS[suffix]), path), statement)
    return replace(volume, grid_record=read_nrrd_grid(path)) if suffix == ".nrrd" else volume


def _statement(path: Path, suffix: str) -> Statement:
    """The statement of a NRRD, MHA or MHD header, each reading checked first: ITK calls a file without axes damaged."""
    statement = nrrd_statement(path) if suffix == ".nrrd" else meta_statement(path)
    for reading in statement.readings:
        check_readings([reading], (1, 1, 1), str(path))
    return statement


def _checked(volume: Volume, statement: Statement) -> Volume:
    """The volume with the warnings of its header. InputError if ITK placed it elsewhere than the header says."""
    ours = Reading("ITK, as in 3D Slicer,", affine_of(volume.spacing, volume.origin, volume.direction))
    check_readings([*statement.readings, ours], volume.voxels.shape[::-1], volume.source)
    for sentence in statement.warnings:
        volume = volume.with_warning(sentence)
    return volume


@contextlib.contextmanager
def _permissive_sform() -> Iterator[None]:
    """A context in which ITK takes the nearest right-angled axes: `check_readings` has seen that they are near."""
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
    """The image in a file by one of ITK's readers. several: whether a voxel may have several values."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(check_name(path)))
    reader.SetImageIO(reader_name)
    try:
        with quiet():
            reader.ReadImageInformation()
            if reader.GetNumberOfComponents() > 1 and not several:
                raise InputError(
                    f"{path} has {reader.GetNumberOfComponents()} values a voxel (color or vectors); give a scalar CT."
                )
            return _one_frame(reader.Execute(), path)
    except RuntimeError as error:
        reason = str(error).lower()
        if "zero-valued spacing" in reason:
            raise InputError(f"{path} has a voxel spacing of zero; correct its header or export it again.") from None
        raise InputError(
            f"{path} cannot be read: it is damaged, cut short or not what its name says; export or download it again."
        ) from None


def _one_frame(image: sitk.Image, path: Path) -> sitk.Image:
    """The image in three dimensions. InputError if it is a slice, or has several frames."""
    size = image.GetSize()
    if len(size) < 3:
        raise InputError(f"{path} is a single slice ({' × '.join(map(str, size))} pixels); give the whole 3D volume.")
    if any(n > 1 for n in size[3:]):
        raise InputError(f"{path} has {max(size[3:])} frames in time; give one 3D volume (one frame).")
    return sitk.Extract(image, [*size[:3], *[0] * (len(size) - 3)]) if len(size) > 3 else image


def _as_volume(image: sitk.Image, path: Path) -> Volume:
    """The volume of an image that was read from a file. InputError if its grid cannot be one."""
    volume = Volume.from_sitk(image, str(path))
    check_grid(volume.voxels.shape, volume.spacing, str(path))
    check_right_angles(affine_of(volume.spacing, volume.origin, volume.direction), str(path))
    return volume.with_voxels(_plain_type(volume.voxels))


def _plain_type(voxels: np.ndarray) -> np.ndarray:
    """The voxels as int16 if that holds them (8-bit ones stay), else as float32."""
    if np.issubdtype(voxels.dtype, np.integer):
        if voxels.dtype.itemsize == 1 or voxels.dtype == np.int16:
            return voxels
        if voxels.min() >= -32768 and voxels.max() <= 32767:
            return voxels.astype(np.int16)
    return voxels.astype(np.float32, copy=False)
