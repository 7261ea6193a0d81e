"""Results as DICOM: a CT series in a folder of its own, a mask as a DICOM segmentation (.dcm)."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from ... import __version__
from ...atomic import check_place, hidden_name, move_into_place
from ...errors import InputError
from ..itk import check_name
from ..volume import Volume
from .files import is_dicom, quiet_pydicom, save
from .reading import find_slices
from .segmentation_source import segmentation_source
from .slices import DicomSlice
from .stack import grid
from .tags import MAKER, PATIENT, STUDY, nearest_slices, place, read_source, reference_sources, series_tags

IMPLEMENTATION = "2.25.127863934048440920759727208852181804702"  # marks what this module wrote
FILES = (".nii", ".gz", ".nrrd", ".mha", ".csv", ".dcm")  # outputs with such names are files
WINDOW_HU = (40, 400)  # center and width, where the source states none


def is_series(path: Path) -> bool:
    """Whether an output's name means a DICOM series: one without a suffix, or of a folder that is there."""
    return path.suffix == "" or (path.is_dir() and path.suffix.lower() not in FILES)


def check_series(folder: Path, overwrite: bool = False) -> Path:
    """The folder, if a DICOM series can be written as it: a new one, an empty one, or with `overwrite` one that holds
    nothing but a series of ours. InputError says what is in the way.
    """
    check_name(folder)
    if not folder.name or folder.name == "..":
        raise InputError(f"{folder} cannot be written as a DICOM series: give the name of a new folder.")
    check_place(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, and a DICOM series is a folder; choose another name.")
    files = sorted(folder.iterdir()) if folder.exists() else []
    if files and not all(_is_ours(file) for file in files):
        raise InputError(f"{folder} holds other files than a result of {MAKER}; name a new or an empty folder.")
    if files and not overwrite:
        raise InputError(f"{folder} exists already; choose another name or allow overwriting it (--overwrite).")
    return folder


def _is_ours(file: Path) -> bool:
    """Whether this module wrote a file."""
    try:
        return dcmread(file, specific_tags=[]).file_meta.get("ImplementationClassUID") == IMPLEMENTATION
    except (InvalidDicomError, OSError):
        return False


def move_folder_into_place(new: Path, folder: Path) -> None:
    """Rename the finished folder `new` to `folder`; an existing folder of that name is removed afterwards."""
    old = hidden_name(folder, "")
    if folder.exists():
        move_into_place(folder, old)
    try:
        move_into_place(new, folder)
    except OSError:
        if old.exists():
            os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


@quiet_pydicom()  # about a source's odd values
def write_series(volume: Volume, folder: Path, record: dict) -> None:
    """Write a volume in HU as the single-frame CT images of one new series.

    folder: must not exist; record: the provenance, of `describe_run`. Integers are stored as they are, floats in steps
    of a power of two HU, as fine as 16 bits allow. Rows and columns are the volume's x and y; the slices are numbered
    along their normal, so that a left-handed grid is written from its last slice on.
    """
    volume = _right_handed(volume)
    source = read_source(volume.source)
    stored, slope = _as_int16(volume.voxels)
    common = series_tags(volume, source, record)
    common.update(_pixel_tags(volume, slope))
    if record.get("output", "output") != "output":  # a map: nothing of the scan's window
        common.WindowCenter, common.WindowWidth = 0, _width(volume.voxels)
    elif "WindowCenter" not in common:
        common.WindowCenter, common.WindowWidth = WINDOW_HU
    folder.mkdir()
    for k, (pixels, made_of) in enumerate(zip(stored, nearest_slices(volume, source), strict=True)):
        image = Dataset()
        image.update(common)
        place(image, volume, k)
        reference_sources(image, made_of)
        image.PixelData = np.ascontiguousarray(pixels, "<i2").tobytes()
        image.file_meta = _meta(image)
        save(image, folder / f"{k + 1:04d}.dcm")


def _right_handed(volume: Volume) -> Volume:
    """The volume, with its slices in reverse order if their axis points against rows × columns."""
    axes = np.reshape(volume.direction, (3, 3))
    if np.linalg.det(axes) > 0:
        return volume
    last = np.array(volume.origin) + axes[:, 2] * volume.spacing[2] * (len(volume.voxels) - 1)
    turned = axes * (1, 1, -1)
    return Volume(volume.voxels[::-1], volume.spacing, tuple(last), tuple(turned.ravel()), volume.source)


def _as_int16(voxels: np.ndarray) -> tuple[np.ndarray, float]:
    """Voxels as int16 and what one step of them is in HU: 1 for whole numbers, else the finest power of two that fits
    (16 characters of a decimal string hold 2⁻¹⁴), or coarser than 1 for values that 16 bits cannot hold.
    """
    largest = float(np.abs(voxels).max())
    whole = np.issubdtype(voxels.dtype, np.integer) or np.array_equal(voxels, np.rint(voxels))
    finest = 0 if whole else -14
    power = next(p for p in range(finest, 128) if largest / 2.0**p <= 32767)
    return np.rint(voxels / 2.0**power).astype(np.int16), 2.0**power


def _pixel_tags(volume: Volume, slope: float) -> Dataset:
    """The tags about the pixels: their layout, and how they become HU."""
    ds = Dataset()
    ds.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    ds.Rows, ds.Columns = volume.voxels.shape[1:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, format(slope, ".16g"), "HU"
    return ds


def _width(voxels: np.ndarray) -> int:
    """The width of a window about 0 that holds all but the outermost values of a map."""
    return max(2, int(np.ceil(2 * np.percentile(np.abs(voxels), 99.9))))


def _meta(ds: Dataset) -> FileMetaDataset:
    """The file meta information of a dataset."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID, meta.ImplementationClassUID = ExplicitVRLittleEndian, IMPLEMENTATION
    return meta


def check_segmentation(path: Path, ct: Path | None) -> None:
    """Check a mask's output: InputError unless a mask of that CT can be written as a DICOM segmentation, which is tried
    with a mask of one voxel.
    """
    if ct is None or not (ct.is_dir() or is_dicom(ct)):
        raise InputError(
            f"{path} cannot be a DICOM segmentation, because that refers to DICOM slices: give the CT as a DICOM "
            "folder, or end the name of the mask with .nii.gz, .nrrd or .mha."
        )
    if importlib.util.find_spec("highdicom") is None:
        raise InputError(f"{path} needs the package highdicom: pip install meddiff-fm[dicom], or write .nii.gz.")
    slices, _ = find_slices(ct)
    mask = Volume(np.zeros((len(slices), *slices[0].shape), np.uint8), **grid(slices), source=str(ct))
    mask.voxels[0, 0, 0] = 1
    _segmentation(mask, slices, {"task": "check", "synthetic": False, "model": {"name": "", "sha256": "0" * 64}})


@quiet_pydicom()
def write_segmentation(mask: Volume, path: Path, record: dict) -> None:
    """Write a mask as a DICOM segmentation of the slices it was found on, a segment for each of its labels 1 … n.

    mask: whole numbers on the grid of the DICOM folder or file in its `source`; InputError otherwise.
    """
    slices = read_source(mask.source)
    if len(slices) != len(mask.voxels) or slices[0].shape != mask.voxels.shape[1:]:
        raise InputError(f"{path} cannot be written: the mask is not on the grid of a DICOM series.")
    save(_segmentation(mask, slices, record), path)


@quiet_pydicom()  # and highdicom, about a source's odd values
def _segmentation(mask: Volume, slices: list[DicomSlice], record: dict) -> Dataset:
    """The DICOM segmentation of a mask. slices: the CT's; record: the provenance."""
    import highdicom as hd

    tags = series_tags(mask, slices, record)
    source, voxels = segmentation_source(slices, mask, tags)
    segmentation = hd.seg.Segmentation(
        source_images=source,
        pixel_array=voxels.astype(np.uint8),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=_segments(record["task"], max(1, int(voxels.max()))),
        series_instance_uid=tags.SeriesInstanceUID,
        series_number=tags.SeriesNumber + 1,
        sop_instance_uid=generate_uid(None),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=tags.ManufacturerModelName,
        software_versions=tags.SoftwareVersions,
        device_serial_number=record["model"]["sha256"][:16],
        content_description=tags.SeriesDescription,
        series_description=tags.SeriesDescription,
    )
    for keyword in (*PATIENT, *STUDY, "ContributingEquipmentSequence"):
        if keyword in tags:
            segmentation[keyword] = tags[keyword]
    return segmentation


def _segments(task: str, count: int) -> list:
    """Descriptions of the segments 1 … count."""
    import highdicom as hd

    maker = hd.AlgorithmIdentificationSequence(MAKER, codes.cid7162.ArtificialIntelligence, __version__)
    kinds = codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Lesion
    automatic = hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC
    return [hd.seg.SegmentDescription(n, f"{task} {n}", *kinds, automatic, maker) for n in range(1, count + 1)]
