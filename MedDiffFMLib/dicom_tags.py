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
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.sr.codedict import Code, codes
from pydicom.uid import CTImageStorage, generate_uid
from pydicom.valuerep import DSfloat

from . import __version__
from .volume import Volume

MAKER = "MedDiff-FM"
NOTICE = "Made by a model, for research only: not for diagnosis."
SYNTHETIC = "SYNTHETIC: shows anatomy that nobody has. "
PATIENT = (
    "PatientName PatientID IssuerOfPatientID PatientBirthDate PatientSex PatientAge PatientSize PatientWeight "
    "PatientIdentityRemoved DeidentificationMethod DeidentificationMethodCodeSequence SpecificCharacterSet"
).split()
STUDY = "StudyInstanceUID StudyDate StudyTime StudyID AccessionNumber ReferringPhysicianName StudyDescription".split()
SCAN = (
    "FrameOfReferenceUID PositionReferenceIndicator PatientPosition BodyPartExamined KVP ConvolutionKernel "
    "ContrastBolusAgent WindowCenter WindowWidth WindowCenterWidthExplanation AcquisitionNumber"
).split()


def read_source(path: str) -> list[Dataset]:
    """The headers of the CT slices of the DICOM folder that a volume came from, in the volume's order; none if it came
    from anything else.
    """
    folder = Path(path)
    if not path or not folder.is_dir():
        return []
    slices = []
    for file in sorted(folder.iterdir()):
        try:
            one = dcmread(file, stop_before_pixels=True)
        except (InvalidDicomError, OSError):
            continue
        if "ImagePositionPatient" in one:
            slices.append(one)
    return sorted(slices, key=lambda one: float(np.dot(one.ImagePositionPatient, _normal(one))))


def _normal(one: Dataset) -> np.ndarray:
    row_and_column = np.array(one.ImageOrientationPatient, float).reshape(2, 3)
    return np.cross(*row_and_column)


def series_tags(volume: Volume, source: Sequence[Dataset], record: dict) -> Dataset:
    """What all images of a new series share about patient, study, series and equipment.

    source: see `read_source`; record: the provenance, of `describe_run`.
    """
    ds, now, first = Dataset(), datetime.now(), source[0] if source else Dataset()
    ds.PatientName, ds.PatientID = ("", "") if source else (f"{MAKER}^Anonymous", "ANONYMOUS")
    ds.PatientBirthDate = ds.PatientSex = ds.PatientPosition = ds.PositionReferenceIndicator = ""
    ds.StudyDate = ds.StudyTime = ds.StudyID = ds.AccessionNumber = ds.ReferringPhysicianName = ""
    ds.KVP = ds.AcquisitionNumber = None
    ds.StudyInstanceUID, ds.FrameOfReferenceUID = generate_uid(None), generate_uid(None)
    for keyword in (*PATIENT, *STUDY, *SCAN):
        _copy(ds, first, keyword)
    ds.SOPClassUID, ds.SeriesInstanceUID, ds.Modality, ds.SeriesNumber = CTImageStorage, generate_uid(None), "CT", 9000
    ds.InstanceCreationDate = ds.SeriesDate = ds.ContentDate = now.strftime("%Y%m%d")
    ds.InstanceCreationTime = ds.SeriesTime = ds.ContentTime = now.strftime("%H%M%S")
    ds.SliceThickness = ds.SpacingBetweenSlices = DSfloat(volume.spacing[2], auto_format=True)
    if len(source) > 1 and abs(_distance(source) - volume.spacing[2]) < 0.01:
        _copy(ds, first, "SliceThickness")
    say_who(ds, record)
    return ds


def _copy(ds: Dataset, source: Dataset, keyword: str) -> None:
    """Take over an attribute of the source if it has one that can be read; scanners write what the standard forbids."""
    try:
        element = source[keyword]
    except (KeyError, ValueError, TypeError, OverflowError):
        return
    if element.VR != "UI" or element.value:
        ds[keyword] = element


def _distance(source: Sequence[Dataset]) -> float:
    """Between neighbouring slices, in mm."""
    ends = [np.array(one.ImagePositionPatient, float) for one in (source[0], source[-1])]
    return float(np.linalg.norm(ends[1] - ends[0])) / (len(source) - 1)


def say_who(ds: Dataset, record: dict) -> None:
    """That a model made this, which one and how, in the tags that viewers show and archives keep."""
    task, synthetic = record["task"], record["synthetic"]
    model = record["model"]["name"].encode("ascii", "replace").decode()
    told = SYNTHETIC if synthetic else ""
    ds.SeriesDescription = f"{'SYNTHETIC ' if synthetic else ''}{MAKER} {task} (AI-derived)"[:64]
    ds.ImageComments = f"AI-derived. {told}{NOTICE}"
    ds.DerivationDescription = f"{told}{task} by {MAKER} {__version__}, model {model}. {NOTICE}"
    ds.Manufacturer, ds.ManufacturerModelName = MAKER, model[:64]
    ds.SoftwareVersions = f"meddiff-fm {__version__}"
    ds.BurnedInAnnotation, ds.ContentQualification = "NO", "RESEARCH"
    if synthetic:
        ds.SyntheticData = "YES"
    equipment = Dataset()
    purpose = codes.cid7005.SynthesizingEquipment if synthetic else codes.cid7005.ProcessingEquipment
    equipment.PurposeOfReferenceCodeSequence = [_code(purpose)]
    equipment.Manufacturer, equipment.ManufacturerModelName = MAKER, ds.ManufacturerModelName
    equipment.SoftwareVersions = ds.SoftwareVersions
    equipment.ContributionDescription = f"{told}{task}, model checksum {record['model']['sha256']}"
    ds.ContributingEquipmentSequence = [equipment]


def _code(code: Code) -> Dataset:
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return ds


def place(ds: Dataset, volume: Volume, k: int) -> None:
    """Where slice `k` of a right-handed volume lies, its number, and a UID of its own."""
    axes = np.reshape(volume.direction, (3, 3))
    position = np.array(volume.origin) + axes[:, 2] * volume.spacing[2] * k
    ds.SOPInstanceUID, ds.InstanceNumber = generate_uid(None), k + 1
    ds.ImagePositionPatient = _decimals(position)
    ds.ImageOrientationPatient = _decimals(axes[:, :2].T.ravel())
    ds.PixelSpacing = _decimals((volume.spacing[1], volume.spacing[0]))  # between rows, then between columns
    ds.SliceLocation = _decimals([position @ axes[:, 2]])[0]


def _decimals(values) -> list[DSfloat]:
    return [DSfloat(float(value), auto_format=True) for value in values]


def nearest_slices(volume: Volume, source: Sequence[Dataset]) -> list[Sequence[Dataset]]:
    """For each slice of the volume the source's slice it lies in or next to; all of them if those are not parallel."""
    if not source:
        return [[]] * len(volume.voxels)
    axes, normal = np.reshape(volume.direction, (3, 3)), _normal(source[0])
    if abs(axes[:, 2] @ normal) < 0.999:
        return [source] * len(volume.voxels)
    there = np.array([one.ImagePositionPatient for one in source], float) @ normal
    step = axes[:, 2] * volume.spacing[2]
    here = [(np.array(volume.origin) + step * k) @ normal for k in range(len(volume.voxels))]
    return [[source[int(np.argmin(np.abs(there - at)))]] for at in here]


def refer(ds: Dataset, source: Sequence[Dataset]) -> None:
    """Name the images that this one was computed from."""
    if not source:
        return
    instances = []
    for one in source:
        instance = Dataset()
        instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = one.SOPClassUID, one.SOPInstanceUID
        instances.append(instance)
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedInstanceSequence = source[0].SeriesInstanceUID, instances
    ds.ReferencedSeriesSequence = [series]
    ds.SourceImageSequence = [Dataset(instance) for instance in instances]
    for instance in ds.SourceImageSequence:
        instance.PurposeOfReferenceCodeSequence = [_code(codes.cid7202.SourceImageForImageProcessingOperation)]
