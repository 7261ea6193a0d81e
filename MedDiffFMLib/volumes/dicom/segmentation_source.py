"""A CT's slices as highdicom takes them for a segmentation: who they are and where they lie, and nothing else of the
file, so that nothing odd in it, or missing, is in the way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydicom import Dataset

from ...errors import InputError
from ..volume import Volume
from .files import text
from .slices import DicomSlice
from .tags import decimals

_BLANK = "PatientName PatientBirthDate PatientSex StudyID StudyDate StudyTime AccessionNumber".split()


def segmentation_source(slices: Sequence[DicomSlice], mask: Volume, tags: Dataset) -> tuple[list[Dataset], np.ndarray]:
    """The source images of a segmentation, and the mask's voxels (frames, rows, columns) in their order.

    slices: in the order of the mask; tags: of the result, by `series_tags`. The patient stays blank: highdicom's checks
    are stricter than files are, and it quotes what it finds. InputError if the slices have no identity to refer to.
    """
    files = {image.path for image in slices}
    several_frames = "PerFrameFunctionalGroupsSequence" in slices[0].header
    for image in slices:
        if not (image.uid and text(image.header, "SOPClassUID") and text(image.header, "SeriesInstanceUID")):
            raise InputError(
                f"{image.path} has no UIDs that a DICOM segmentation could refer to: write the mask as .nii.gz or "
                ".nrrd."
            )
    if len(files) == len(slices) == len({image.uid for image in slices}) and not several_frames:
        return [_single(image, mask, tags) for image in slices], mask.voxels
    order = np.argsort([image.frame for image in slices])
    if len(files) > 1 or [slices[k].frame for k in order] != list(range(len(slices))):
        raise InputError(
            f"{slices[0].path} and others share UIDs, so that a DICOM segmentation cannot refer to them: write the "
            "mask as .nii.gz or .nrrd."
        )
    return [_several([slices[k] for k in order], mask, tags)], mask.voxels[order]


def _image(image: DicomSlice, tags: Dataset) -> Dataset:
    """The identity of a slice as a dataset."""
    ds = Dataset()
    for keyword in _BLANK:
        setattr(ds, keyword, None)
    ds.PatientID, ds.ReferringPhysicianName, ds.PositionReferenceIndicator = "", "", ""
    ds.StudyInstanceUID, ds.FrameOfReferenceUID = tags.StudyInstanceUID, tags.FrameOfReferenceUID
    ds.SOPClassUID, ds.SOPInstanceUID = text(image.header, "SOPClassUID"), image.uid
    ds.SeriesInstanceUID, ds.Modality = text(image.header, "SeriesInstanceUID"), "CT"
    ds.Rows, ds.Columns = image.shape
    return ds


def _measures(image: DicomSlice, mask: Volume) -> Dataset:
    """The pixel spacing and slice thickness of a slice."""
    ds = Dataset()
    ds.PixelSpacing, ds.SliceThickness = decimals(image.spacing), decimals([mask.spacing[2]])[0]
    return ds


def _single(image: DicomSlice, mask: Volume, tags: Dataset) -> Dataset:
    """The source image of a file with one slice."""
    ds = _image(image, tags)
    ds.ImagePositionPatient, ds.ImageOrientationPatient = decimals(image.position), decimals(image.axes.ravel())
    ds.update(_measures(image, mask))
    return ds


def _several(slices: Sequence[DicomSlice], mask: Volume, tags: Dataset) -> Dataset:
    """The source image of a file with several frames, in its order."""
    ds, shared, orientation = _image(slices[0], tags), Dataset(), Dataset()
    orientation.ImageOrientationPatient = decimals(slices[0].axes.ravel())
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [_measures(slices[0], mask)], [orientation]
    frames = []
    for image in slices:
        position, frame = Dataset(), Dataset()
        position.ImagePositionPatient = decimals(image.position)
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    ds.NumberOfFrames, ds.SharedFunctionalGroupsSequence = len(slices), [shared]
    ds.PerFrameFunctionalGroupsSequence = frames
    return ds
