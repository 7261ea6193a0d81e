"""The slices of CT images in DICOM files: the position of each and the meaning of its stored values, by its header."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset

from ...errors import InputError
from .files import CT, ENHANCED_CT, LEGACY_CT, integer, numbers, text, words

_PLACES = {  # the functional groups of multi-frame images, and the attributes in them
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "RescaleType": "PixelValueTransformationSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "StackID": "FrameContentSequence",
    "TemporalPositionIndex": "FrameContentSequence",
    "FrameAcquisitionNumber": "FrameContentSequence",
}
_PHASE = (
    "AcquisitionNumber FrameAcquisitionNumber TemporalPositionIdentifier TemporalPositionIndex "
    "NominalPercentageOfCardiacPhase StackID ConvolutionKernel"
).split()
_UNIT, _RIGHT_ANGLE = 0.01, 2e-3  # rounded cosines are no longer than this off 1, and off a right angle


@dataclass(frozen=True, eq=False)
class DicomSlice:
    """A slice of a CT in a DICOM file. header: of its file, without pixels; frame: its number in the file, from 0.

    position in mm (LPS); axes (2, 3): unit vectors along a row and a column; spacing in mm between rows, between
    columns; HU = slope × stored + intercept, both None if the file states neither; phase: differs between the passes of
    a scan; thickness in mm as stated, None where it is not, or not as a positive number.
    """

    path: Path
    header: Dataset
    frame: int
    position: np.ndarray
    axes: np.ndarray
    spacing: tuple[float, float]
    slope: float | None
    intercept: float | None
    rescale_type: str
    phase: tuple[str, ...]
    thickness: float | None

    @property
    def normal(self) -> np.ndarray:
        """The unit vector at a right angle to the slice."""
        return np.cross(*self.axes)

    @property
    def shape(self) -> tuple[int, int]:
        """The number of rows and columns."""
        return integer(self.header, "Rows", 0), integer(self.header, "Columns", 0)

    @property
    def uid(self) -> str:
        """The SOP instance UID."""
        return text(self.header, "SOPInstanceUID")


def is_ct(header: Dataset) -> bool:
    """Whether a file holds CT images; screen captures and localizers are none."""
    modality = text(header, "Modality").upper()
    kind = text(header, "SOPClassUID") or str(header.file_meta.get("MediaStorageSOPClassUID", ""))
    has_ct_class = kind in (CT, ENHANCED_CT, LEGACY_CT) and modality in ("CT", "")
    placed = "ImagePositionPatient" in header or "PerFrameFunctionalGroupsSequence" in header
    return (has_ct_class or (modality == "CT" and placed and "Rows" in header)) and not is_localizer(header)


def is_localizer(header: Dataset) -> bool:
    """Whether an image is a localizer (scout view)."""
    return "LOCALIZER" in words(header, "ImageType")


def frames(header: Dataset) -> int:
    """The number of frames in a file."""
    return max(1, integer(header, "NumberOfFrames", 1))


def slices_of(path: Path, header: Dataset) -> list[DicomSlice]:
    """The images of a CT file. InputError, naming the file, if it does not state the position of one or the meaning of
    its values.
    """
    count = frames(header)
    if "ModalityLUTSequence" in header:
        raise InputError(f"{path} gives its HU by a table (Modality LUT), not by a slope; export it as a CT in HU.")
    if count == 1 and "PerFrameFunctionalGroupsSequence" not in header:
        return [_slice(path, header, 0, [header])]
    groups = header.get("PerFrameFunctionalGroupsSequence") or []
    if len(groups) != count:
        raise InputError(
            f"{path} has {count} frames and states the place of {len(groups)}; convert it to NIfTI (with dcm2niix) or "
            "export the series again."
        )
    shared = list(header.get("SharedFunctionalGroupsSequence") or [])
    return [_slice(path, header, k, [groups_of_frame, *shared]) for k, groups_of_frame in enumerate(groups)]


def _slice(path: Path, header: Dataset, frame: int, groups: list[Dataset]) -> DicomSlice:
    """The slice of a frame. groups: the datasets that may hold its attributes: the header, or the functional groups."""
    several = groups[0] is not header

    def place(keyword: str) -> Dataset:
        """The dataset that holds an attribute of this image."""
        for group in groups if several else []:
            for item in group.get(_PLACES.get(keyword, "")) or []:
                if keyword in item:
                    return item
        return Dataset() if several and keyword == "ImagePositionPatient" else header

    def scale(keyword: str) -> float | None:
        return numbers(place(keyword), keyword, 1, path)[0] if text(place(keyword), keyword) else None

    slope, intercept = scale("RescaleSlope"), scale("RescaleIntercept")
    if (slope is None) != (intercept is None) or slope == 0:
        raise InputError(
            f"{path} states RescaleSlope {slope} and RescaleIntercept {intercept}, which give no HU; export it again."
        )
    rows, columns = numbers(place("PixelSpacing"), "PixelSpacing", 2, path)
    return DicomSlice(
        path,
        header,
        frame,
        np.array(numbers(place("ImagePositionPatient"), "ImagePositionPatient", 3, path)),
        _axes(numbers(place("ImageOrientationPatient"), "ImageOrientationPatient", 6, path), path),
        (rows, columns),
        slope,
        intercept,
        text(place("RescaleType"), "RescaleType").upper(),
        tuple(text(place(keyword), keyword) for keyword in _PHASE),
        _thickness(place("SliceThickness")),
    )


def _thickness(ds: Dataset) -> float | None:
    """The stated slice thickness in mm, or None; scanners and anonymizers write 0 and words for “unknown”."""
    try:
        thickness = float(text(ds, "SliceThickness"))
    except ValueError:
        return None
    return thickness if 0 < thickness < math.inf else None


def _axes(cosines: tuple[float, ...], path: Path) -> np.ndarray:
    """Unit vectors at a right angle from direction cosines that were rounded."""
    row, column = np.reshape(cosines, (2, 3))
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if max(abs(length - 1) for length in lengths) > _UNIT or abs(row @ column) > _RIGHT_ANGLE:
        shown = "\\".join(f"{value:g}" for value in cosines)
        raise InputError(
            f"{path} gives ImageOrientationPatient as {shown}, which are not two directions at a right angle; "
            "correct it or export the series again."
        )
    row = row / lengths[0]
    column = column - row * (row @ column)
    return np.stack([row, column / np.linalg.norm(column)])
