"""The HU of DICOM slices: stored values as the standard reads them, times each slice's own slope, plus its intercept.

Uncompressed pixels are taken from the file as they are; compressed ones are decoded by GDCM, which sees nothing of a
slice's rescaling or display.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ImplicitVRLittleEndian, generate_uid

from ...errors import InputError
from ..itk import quiet
from .files import damaged, integer, read_whole, save, text
from .slices import DicomSlice, frames

_CAPTURE, _CAPTURES = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.3"
_LAYOUT = "Rows Columns SamplesPerPixel BitsAllocated BitsStored HighBit PixelRepresentation".split()
_WHOLE_BITS = (8, 16, 32)


def read_hu(slices: list[DicomSlice]) -> np.ndarray:
    """Voxels (slices, rows, columns) in HU: int16 if all are whole numbers that fit, else float32. InputError names the
    file of a slice that is damaged or no grayscale image.
    """
    voxels = np.empty((len(slices), *slices[0].shape), np.int16)
    pixels = None
    for k, image in enumerate(slices):
        if pixels is None or image.path != pixels.path:
            pixels = Pixels(image.path)
        hu = slice_hu(image, pixels)
        if hu.dtype == np.float32 and voxels.dtype == np.int16:
            voxels = voxels.astype(np.float32)
        voxels[k] = hu
    return voxels


def slice_hu(image: DicomSlice, pixels: Pixels) -> np.ndarray:
    """A slice's HU (rows, columns), int16 or float32, from its file's pixels."""
    slope, intercept = (1.0, 0.0) if image.slope is None else (image.slope, image.intercept)
    hu = pixels.stored(image.frame) * slope + intercept  # in float64
    limits = np.iinfo(np.int16)
    whole_numbers = float(slope).is_integer() and float(intercept).is_integer()
    if whole_numbers and limits.min <= hu.min() and hu.max() <= limits.max:
        return hu.astype(np.int16)
    return hu.astype(np.float32)


class Pixels:
    """The pixels of a DICOM file. InputError, naming it, if it is damaged or no grayscale image."""

    def __init__(self, path: Path):
        self.path, self._ds = path, (ds := read_whole(path))
        shown = text(ds, "PhotometricInterpretation")
        if integer(ds, "SamplesPerPixel", 1) != 1 or shown not in ("MONOCHROME1", "MONOCHROME2", ""):
            raise InputError(f"{path} is a color image; give a CT series.")
        if "PixelData" not in ds or integer(ds, "BitsAllocated", 0) not in _WHOLE_BITS:
            raise damaged(path)
        if integer(ds, "BitsStored", 0) < 1 or integer(ds, "PixelRepresentation", -1) not in (0, 1):
            raise InputError(
                f"{path} does not say how its pixels are stored (BitsStored, PixelRepresentation); export the series "
                "again."
            )
        syntax = UID(str(ds.file_meta.get("TransferSyntaxUID") or ImplicitVRLittleEndian))
        if syntax.is_private or not syntax.is_transfer_syntax:
            raise InputError(f"{path} has a transfer syntax that is not DICOM's ({syntax}); export the series again.")
        self._compressed = syntax.is_encapsulated
        self._raw = _decoded(ds, path, syntax) if self._compressed else _plain(ds, path)

    def stored(self, frame: int) -> np.ndarray:
        """The stored values (rows, columns) of a frame, as the standard reads them: whole numbers."""
        ds, raw = self._ds, self._raw[frame]
        allocated, signed = integer(ds, "BitsAllocated", 0), integer(ds, "PixelRepresentation", 0) == 1
        stored = integer(ds, "BitsStored", 0)
        if stored > allocated or integer(ds, "HighBit", stored - 1) != stored - 1:
            raise InputError(
                f"{self.path} says of its pixels BitsAllocated {allocated}, BitsStored {stored} and HighBit "
                f"{integer(ds, 'HighBit', -1)}, which do not fit each other; export the series again."
            )
        low = raw.astype(np.int64) & ((1 << stored) - 1)
        values = np.where(low >> (stored - 1), low - (1 << stored), low) if signed else low
        sign_repeated = values & ((1 << allocated) - 1)
        if not self._compressed and not _has_overlay(ds, stored) and not np.array_equal(sign_repeated, raw):
            raise InputError(
                f"{self.path} has pixel values of more bits than the {stored} that it states (BitsStored), which "
                "programs read differently; export the series again."
            )
        return values


def _plain(ds: Dataset, path: Path) -> np.ndarray:
    """Uncompressed pixels as unsigned numbers (frames, rows, columns)."""
    order = "<" if _is_little_endian(ds) else ">"
    kind = np.dtype(f"{order}u{integer(ds, 'BitsAllocated', 0) // 8}")
    shape = frames(ds), integer(ds, "Rows", 0), integer(ds, "Columns", 0)
    count, data = int(np.prod(shape)), ds.PixelData
    frame_bytes = count // shape[0] * kind.itemsize
    if count == 0 or len(data) < count * kind.itemsize or len(data) >= count * kind.itemsize + frame_bytes:
        raise damaged(path)
    return np.frombuffer(data, kind, count).reshape(shape)


def _is_little_endian(ds: Dataset) -> bool:
    encoding = getattr(ds, "original_encoding", None)  # of pydicom 3
    little = encoding[1] if encoding else ds.is_little_endian
    return little is not False


def _decoded(ds: Dataset, path: Path, syntax: UID) -> np.ndarray:
    """Compressed pixels by GDCM, from a copy of the file that holds nothing but them."""
    bare, count = Dataset(), frames(ds)
    for keyword in _LAYOUT:
        if keyword in ds:
            bare[keyword] = ds[keyword]
    bare.PhotometricInterpretation = "MONOCHROME2"
    bare.SOPClassUID, bare.SOPInstanceUID = _CAPTURES if count > 1 else _CAPTURE, generate_uid(None)
    bare.Modality = "OT"
    if count > 1:
        bare.NumberOfFrames = count
    bare["PixelData"] = ds["PixelData"]
    bare.file_meta = FileMetaDataset()
    bare.file_meta.MediaStorageSOPClassUID, bare.file_meta.TransferSyntaxUID = bare.SOPClassUID, syntax
    bare.file_meta.MediaStorageSOPInstanceUID = bare.SOPInstanceUID
    with tempfile.TemporaryDirectory(prefix="meddiff-fm-", ignore_cleanup_errors=True) as folder:
        save(bare, Path(folder) / "slice.dcm")
        try:
            with quiet():
                decoded = sitk.GetArrayFromImage(sitk.ReadImage(str(Path(folder) / "slice.dcm"), imageIO="GDCMImageIO"))
        except RuntimeError:
            raise InputError(
                f"{path} is damaged, or compressed in a way that cannot be read ({syntax.name}); export the series "
                "again, uncompressed."
            ) from None
    signed = integer(ds, "PixelRepresentation", 0) == 1
    shape = count, integer(ds, "Rows", 0), integer(ds, "Columns", 0)
    if (
        decoded.size != np.prod(shape)
        or not np.issubdtype(decoded.dtype, np.integer)
        or (decoded.min() < 0 and not signed)
    ):
        raise damaged(path)
    bits = integer(ds, "BitsAllocated", 0)
    return (decoded.astype(np.int64) & ((1 << bits) - 1)).astype(f"u{bits // 8}").reshape(shape)


def _has_overlay(ds: Dataset, stored: int) -> bool:
    """Whether the bits above those stored are drawings over the image."""
    places = (ds.get((group, 0x0102)) for group in range(0x6000, 0x6020, 2))
    return any(place is not None and isinstance(place.value, int) and place.value >= stored for place in places)
