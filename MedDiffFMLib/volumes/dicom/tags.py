"""The DICOM tags of a result: patient and study, what made it of what, and where each image lies.

A result keeps patient and study of its source if that was a DICOM folder, else it has a placeholder for a patient; the
source is read again here, so that no patient's data are held or passed on anywhere else. Every object says in its tags
that a model made it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.charset import python_encoding
from pydicom.sr.codedict import Code, codes
from pydicom.uid import CTImageStorage, generate_uid
from pydicom.valuerep import DSfloat

from ... import __version__
from ...errors import InputError
from ..volume import Volume
from .files import is_dicom, text, words
from .reading import find_slices
from .slices import DicomSlice, frames

MAKER = "MedDiff-FM"
NOTICE = "Made by a model, for research only: not for diagnosis."
SYNTHETIC = "SYNTHETIC: does not show a real patient. "
SYNTHETIC_DATA = 0x0008001C  # by its number, as the code below: pydicom 2, which Slicer 5.10 has, knows no name of them
SYNTHESIZING = Code("109100", "DCM", "Synthesizing Equipment")
PATIENT = (
    "PatientName PatientID IssuerOfPatientID PatientBirthDate PatientSex PatientAge PatientSize PatientWeight "
    "PatientIdentityRemoved DeidentificationMethod DeidentificationMethodCodeSequence SpecificCharacterSet"
).split()
STUDY = "StudyInstanceUID StudyDate StudyTime StudyID AccessionNumber ReferringPhysicianName StudyDescription".split()
SCAN = (
    "FrameOfReferenceUID PositionReferenceIndicator PatientPosition BodyPartExamined KVP ConvolutionKernel "
    "ContrastBolusAgent WindowCenter WindowWidth WindowCenterWidthExplanation AcquisitionNumber"
).split()


def read_source(path: str) -> list[DicomSlice]:
    """The slices of the DICOM folder or file that a volume came from, in the volume's order; none if it came from
    anything else.
    """
    source = Path(path)
    if not path or not (source.is_dir() or is_dicom(source)):
        return []
    try:
        return find_slices(source)[0]
    except InputError:
        return []


def series_tags(volume: Volume, source: Sequence[DicomSlice], record: dict) -> Dataset:
    """The tags that all images of a new series share: patient, study, series and equipment.

    source: see `read_source`; record: the provenance, of `describe_run`.
    """
    ds, now, first = Dataset(), datetime.now(), source[0].header if source else Dataset()
    ds.PatientName, ds.PatientID = ("", "") if source else (f"{MAKER}^Anonymous", "ANONYMOUS")
    ds.PatientBirthDate = ds.PatientSex = ds.PatientPosition = ds.PositionReferenceIndicator = ""
    ds.StudyDate = ds.StudyTime = ds.StudyID = ds.AccessionNumber = ds.ReferringPhysicianName = ""
    ds.KVP = ds.AcquisitionNumber = None
    ds.StudyInstanceUID, ds.FrameOfReferenceUID = generate_uid(None), generate_uid(None)
    for keyword in (*PATIENT, *STUDY, *SCAN):
        _copy(ds, first, keyword)
    if not {*words(ds, "SpecificCharacterSet")} <= {*python_encoding}:
        ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SeriesInstanceUID, ds.Modality, ds.SeriesNumber = CTImageStorage, generate_uid(None), "CT", 9000
    ds.InstanceCreationDate = ds.SeriesDate = ds.ContentDate = now.strftime("%Y%m%d")
    ds.InstanceCreationTime = ds.SeriesTime = ds.ContentTime = now.strftime("%H%M%S")
    ds.SliceThickness = ds.SpacingBetweenSlices = DSfloat(volume.spacing[2], auto_format=True)
    if len(source) > 1 and abs(_distance(source) - volume.spacing[2]) < 0.01:
        _copy(ds, first, "SliceThickness")
    mark_as_derived(ds, record)
    return ds


def _copy(ds: Dataset, source: Dataset, keyword: str) -> None:
    """Take over an attribute of the source if it has one that can be read; scanners write what the standard forbids."""
    try:
        element = source[keyword]
    except (LookupError, ValueError, TypeError, OverflowError, AttributeError, NotImplementedError):
        return
    if element.VR != "UI" or element.value:
        ds[keyword] = element


def _distance(source: Sequence[DicomSlice]) -> float:
    """The distance between neighboring slices, in mm."""
    return float(np.linalg.norm(source[-1].position - source[0].position)) / (len(source) - 1)


def mark_as_derived(ds: Dataset, record: dict) -> None:
    """Record in the tags that viewers show and archives keep that a model made this, which one and how."""
    task, synthetic = record["task"], record["synthetic"]
    model = record["model"]["name"].encode("ascii", "replace").decode()
    prefix = SYNTHETIC if synthetic else ""
    ds.SeriesDescription = f"{'SYNTHETIC ' if synthetic else ''}{MAKER} {task} (AI-derived)"[:64]
    ds.ImageComments = f"AI-derived. {prefix}{NOTICE}"
    ds.DerivationDescription = f"{prefix}{task} by {MAKER} {__version__}, model {model}. {NOTICE}"
    ds.Manufacturer, ds.ManufacturerModelName = MAKER, model[:64]
    ds.SoftwareVersions = f"meddiff-fm {__version__}"
    ds.BurnedInAnnotation, ds.ContentQualification = "NO", "RESEARCH"
    if synthetic:
        ds.add_new(SYNTHETIC_DATA, "CS", "YES")
    equipment = Dataset()
    purpose = SYNTHESIZING if synthetic else codes.cid7005.ProcessingEquipment
    equipment.PurposeOfReferenceCodeSequence = [_code(purpose)]
    equipment.Manufacturer, equipment.ManufacturerModelName = MAKER, ds.ManufacturerModelName
    equipment.SoftwareVersions = ds.SoftwareVersions
    equipment.ContributionDescription = f"{prefix}{task}, model checksum {record['model']['sha256']}"
    ds.ContributingEquipmentSequence = [equipment]


def _code(code: Code) -> Dataset:
    """A code as a dataset."""
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return ds


def place(ds: Dataset, volume: Volume, k: int) -> None:
    """Set the position of slice `k` of a right-handed volume, its number, and a new UID."""
    axes = np.reshape(volume.direction, (3, 3))
    position = np.array(volume.origin) + axes[:, 2] * volume.spacing[2] * k
    ds.SOPInstanceUID, ds.InstanceNumber = generate_uid(None), k + 1
    ds.ImagePositionPatient = decimals(position)
    ds.ImageOrientationPatient = decimals(axes[:, :2].T.ravel())
    ds.PixelSpacing = decimals((volume.spacing[1], volume.spacing[0]))  # between rows, then between columns
    ds.SliceLocation = decimals([position @ axes[:, 2]])[0]


def decimals(values) -> list[DSfloat]:
    """Numbers as a decimal string holds them: 16 characters."""
    return [DSfloat(float(value), auto_format=True) for value in values]


def nearest_slices(volume: Volume, source: Sequence[DicomSlice]) -> list[Sequence[DicomSlice]]:
    """The source's slice that each slice of the volume lies in or next to; all of them if those are not parallel."""
    if not source:
        return [[]] * len(volume.voxels)
    axes, normal = np.reshape(volume.direction, (3, 3)), source[0].normal
    if abs(axes[:, 2] @ normal) < 0.999:
        return [source] * len(volume.voxels)
    source_positions = np.array([image.position for image in source]) @ normal
    step = axes[:, 2] * volume.spacing[2]
    positions = [(np.array(volume.origin) + step * k) @ normal for k in range(len(volume.voxels))]
    return [[source[int(np.argmin(np.abs(source_positions - at)))]] for at in positions]


def reference_sources(ds: Dataset, source: Sequence[DicomSlice]) -> None:
    """Name the images that this one was computed from, as far as they have names."""
    instances = [instance for image in source if (instance := _instance(image))]
    if not instances:
        return
    if uid := text(source[0].header, "SeriesInstanceUID"):
        series = Dataset()
        series.SeriesInstanceUID, series.ReferencedInstanceSequence = uid, instances
        ds.ReferencedSeriesSequence = [series]
    ds.SourceImageSequence = [Dataset(instance) for instance in instances]
    for instance in ds.SourceImageSequence:
        instance.PurposeOfReferenceCodeSequence = [_code(codes.cid7202.SourceImageForImageProcessingOperation)]


def _instance(image: DicomSlice) -> Dataset | None:
    """A reference to a slice, or to its frame of a multi-frame file."""
    kind = text(image.header, "SOPClassUID")
    if not kind or not image.uid:
        return None
    instance = Dataset()
    instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = kind, image.uid
    if frames(image.header) > 1:
        instance.ReferencedFrameNumber = image.frame + 1
    return instance
