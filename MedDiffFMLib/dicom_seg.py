"""A DICOM segmentation object (SEG) as a label map with the names of its segments."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .errors import InputError
from .label_names import Segment
from .volume import Volume

_NEEDS = (
    "Reading DICOM SEG needs the package highdicom: install it with pip install 'meddiff-fm[dicom]', "
    "or export the segmentation as NIfTI or .seg.nrrd."
)


def read_dicom_seg(path: Path) -> tuple[list[Volume], list[Segment]]:
    """The label map (one layer; segments that overlap: the highest number wins) and its segments.

    path: a DICOM SEG file, or a folder that holds one and perhaps other DICOM files. InputError for anything else, or
    if its slices do not form one even volume.
    """
    try:
        import highdicom
        import pydicom
    except ImportError:
        raise InputError(_NEEDS) from None
    file = _only_seg(path, pydicom)
    try:
        seg = highdicom.seg.segread(file)
        volume = seg.get_volume(combine_segments=True, relabel=False, skip_overlap_checks=True)
    except (ValueError, RuntimeError, AttributeError, TypeError, KeyError) as error:
        raise InputError(
            f"{file} cannot be read as one label map ({str(error).splitlines()[0] if str(error) else 'damaged'}); "
            "export the segmentation as NIfTI or .seg.nrrd."
        ) from None
    segments = [
        Segment(str(one.segment_label), int(one.segment_number), 0, one.segmented_property_type.meaning)
        for one in (seg.get_segment_description(number) for number in seg.segment_numbers)
    ]
    return [_as_volume(volume, str(path))], segments


def _only_seg(path: Path, pydicom) -> Path:
    """The one SEG file at a path."""
    files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
    found = []
    for file in files:
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["Modality"])
        except (pydicom.errors.InvalidDicomError, OSError, ValueError):
            continue
        if header.get("Modality") == "SEG":
            found.append(file)
    if len(found) != 1:
        what = "no segmentation" if not found else f"{len(found)} segmentations"
        raise InputError(f"{path} holds {what} (DICOM SEG); give the file of one.")
    return found[0]


def _as_volume(volume, source: str) -> Volume:
    """highdicom's volume, whose affine takes (slice, row, column) to LPS in mm, with axes that turn right-handed."""
    affine, voxels = np.asarray(volume.affine, float), np.asarray(volume.array)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    direction = affine[:3, :3] / spacing
    direction, spacing = direction[:, ::-1], spacing[::-1]  # (x, y, z) of the array's (z, y, x)
    return Volume(
        voxels.astype(np.uint8 if voxels.max() < 256 else np.uint16),
        tuple(spacing.tolist()),
        tuple(affine[:3, 3].tolist()),
        tuple(direction.ravel().tolist()),
        source,
    )
