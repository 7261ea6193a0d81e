"""CT series and multi-frame CTs as scanners, archives and anonymizers leave them, written with pydicom, and what
pydicom says of them: an independent reading of HU and places.
"""

from pathlib import Path

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

SPACING, ORIGIN = (0.75, 0.8, 2.5), (-100.5, 50.25, -300.0)  # x, y, z in mm
PATIENT = "Doe^Jane"
CT, ENHANCED, LEGACY = (f"1.2.840.10008.5.1.4.1.1.2{end}" for end in ("", ".1", ".2"))


def text(values):
    return "\\".join(f"{value:.9g}" for value in values)


def common(ct, k=0, series="1.2.3.1", sop=CT):
    """What all images have, those of a multi-frame file too."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = sop, f"{series}.{k + 1}", "CT"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = PATIENT, "P-1", "19500101", "O"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2.3", series, "1.2.3.9"
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = (
        "20260101",
        "12",
        "1",
        "",
        "",
    )
    ds.SeriesNumber, ds.InstanceNumber, ds.AcquisitionNumber = int(series[-1]) + 2, k + 1, 1
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Rows, ds.Columns = ct.voxels.shape[1:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    meta = ds.file_meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def store(ds, hu, signed=False, bits=12, slope=1.0, intercept=-1024.0):
    """Give an image its pixels: HU = slope × stored + intercept."""
    stored = np.rint((hu.astype(float) - intercept) / slope).astype(np.int64)
    assert stored.min() >= (-(1 << bits - 1) if signed else 0) and stored.max() < 1 << (bits - signed)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, bits, bits - 1, int(signed)
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = f"{slope:g}", f"{intercept:g}", "HU"
    ds.PixelData = (stored & 0xFFFF).astype("<u2").tobytes()


def image(ct, k, series="1.2.3.1", **stored):
    """Slice `k` of a volume as one CT image."""
    ds = common(ct, k, series)
    ds.ImagePositionPatient = text(np.add(ORIGIN, (0, 0, SPACING[2] * k)))
    ds.ImageOrientationPatient, ds.PixelSpacing = "1\\0\\0\\0\\1\\0", text((SPACING[1], SPACING[0]))
    ds.SliceThickness = "3"
    store(ds, ct.voxels[k], **stored)
    return ds


def write(ct, folder, change=None, slices=None, name="{k:03d}.dcm", series="1.2.3.1", **stored):
    """A series, a file a slice. change(ds, k): what is odd about it; False leaves the slice out."""
    folder.mkdir(parents=True, exist_ok=True)
    with pydicom.config.disable_value_validation():
        for k in range(len(ct.voxels)) if slices is None else slices:
            ds = image(ct, k, series, **stored)
            if change is None or change(ds, k) is not False:
                ds.save_as(folder / name.format(k=(k * 7) % 20), enforce_file_format=True)
    return folder


def enhanced(ct, path, order=None, change=None, sop=ENHANCED, slopes=None):
    """A multi-frame CT. order: of the slices in the file; slopes: of each slice, else one for all."""
    order = [int(k) for k in (range(len(ct.voxels)) if order is None else order)]
    ds = common(ct, 0, sop=sop)
    ds.NumberOfFrames, ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = len(order), 16, 16, 15, 0
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [SPACING[1], SPACING[0]], SPACING[2]
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    if slopes is None:
        shared.PixelValueTransformationSequence = [_transformation(1)]
    ds.SharedFunctionalGroupsSequence = [shared]
    frames, pixels = [], []
    for k in order:
        place, content, frame = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = list(np.add(ORIGIN, (0, 0, SPACING[2] * k)))
        content.StackID, content.InStackPositionNumber = "1", k + 1
        frame.PlanePositionSequence, frame.FrameContentSequence = [place], [content]
        if slopes is not None:
            frame.PixelValueTransformationSequence = [_transformation(slopes[k])]
        frames.append(frame)
        slope = 1 if slopes is None else slopes[k]
        pixels.append(np.rint((ct.voxels[k] + 1024) / slope).astype("<u2"))
    ds.PerFrameFunctionalGroupsSequence, ds.PixelData = frames, np.stack(pixels).tobytes()
    if change:
        change(ds)
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def _transformation(slope):
    ds = Dataset()
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = slope, -1024, "HU"
    return ds


def by_pydicom(folder):
    """HU (z, y, x) and the position of each slice, by pydicom and the standard's formula, file by file."""
    found = []
    for file in Path(folder).iterdir():
        ds = pydicom.dcmread(file, force=True)
        hu = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
        found.append((tuple(map(float, ds.ImagePositionPatient)), hu))
    found.sort(key=lambda one: one[0][2])
    return np.stack([hu for _, hu in found]), np.array([place for place, _ in found])


def places(volume):
    """The position in mm of each slice's first voxel."""
    step = np.reshape(volume.direction, (3, 3))[:, 2] * volume.spacing[2]
    return np.array(volume.origin) + np.arange(len(volume.voxels))[:, None] * step
