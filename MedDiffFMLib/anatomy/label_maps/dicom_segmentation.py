"""A DICOM segmentation object (SEG) as a label map with the names of its segments."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import InputError
from ...volumes.volume import Volume
from .header_names import Segment

_NEEDS = (
    "{} may be DICOM SEG: reading it needs the package highdicom: install it with pip install 'meddiff-fm[dicom]', "
    "or export the segmentation as NIfTI or .seg.nrrd."
)


def read_dicom_seg(path: Path) -> tuple[list[Volume], list[Segment]]:
    """The layers of a SEG's label map and its segments: one layer, or one each if segments overlap or are fractional,
    which then count from one half, as a warning says.

    path: a DICOM SEG file, or a folder that holds one and perhaps other DICOM files. InputError for anything else, or
    if its slices do not form one even volume.
    """
    try:
        import highdicom
        import pydicom
    except ImportError:
        raise InputError(_NEEDS.format(path)) from None
    file = _only_seg(path, pydicom)
    try:
        seg = highdicom.seg.Segmentation.from_dataset(pydicom.dcmread(file, force=True), copy=False)
        layers = [] if seg.SegmentationType == "FRACTIONAL" else _combined(seg)
        if layers:
            return [_as_volume(layers[0], str(path))], [_segment(seg, number, number, 0) for number in _numbers(seg)]
        layers = [_as_volume(_alone(seg, number), str(path)) for number in _numbers(seg)]
    except (ValueError, RuntimeError, AttributeError, TypeError, KeyError) as error:
        raise InputError(
            f"{file} cannot be read as one label map ({str(error).splitlines()[0] if str(error) else 'damaged'}); "
            "export the segmentation as NIfTI or .seg.nrrd."
        ) from None
    if seg.SegmentationType == "FRACTIONAL":
        layers[0] = layers[0].with_warning(f"{path} is a fractional segmentation: voxels count from one half on.")
    return layers, [_segment(seg, number, 1, i) for i, number in enumerate(_numbers(seg))]


def _numbers(seg) -> list[int]:
    return [int(number) for number in seg.segment_numbers if number]


def _combined(seg) -> list:
    """The one volume (highdicom's) that holds all segments; none if some overlap."""
    try:
        return [seg.get_volume(combine_segments=True, relabel=False)]
    except RuntimeError as error:
        if "overlap" in str(error).lower():
            return []
        raise


def _alone(seg, number: int):
    """The volume (highdicom's) of one segment, as 0 and 1."""
    volume = seg.get_volume(segment_numbers=[number])
    return volume.with_array((volume.array[..., 0] >= 0.5).astype(np.uint8))


def _segment(seg, number: int, value: int, layer: int) -> Segment:
    """The description of a segment: its name, and the meaning of its code with that of the side."""
    one = seg.get_segment_description(number)
    sides = one.get("SegmentedPropertyTypeCodeSequence", [{}])[0].get("SegmentedPropertyTypeModifierCodeSequence", [])
    meaning = " ".join([*(str(side.CodeMeaning) for side in sides), one.segmented_property_type.meaning])
    return Segment(str(one.segment_label), value, layer, meaning=meaning)


def _only_seg(path: Path, pydicom) -> Path:
    """The one SEG file at a path. InputError if there is none, or several."""
    files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
    by_modality: dict[str, list[Path]] = {}
    for file in files:
        try:
            header = pydicom.dcmread(
                file, stop_before_pixels=True, specific_tags=["Modality"], force=file.suffix.lower() in (".dcm", "")
            )
        except (pydicom.errors.InvalidDicomError, OSError, ValueError):
            continue
        by_modality.setdefault(str(header.get("Modality")), []).append(file)
    segs = by_modality.get("SEG", [])
    if not segs and "RTSTRUCT" in by_modality:
        raise InputError(
            f"{path} holds contours (RT structure set, {by_modality['RTSTRUCT'][0].name}), which are not read: export "
            "the segmentation as DICOM SEG, NIfTI or .seg.nrrd."
        )
    if len(segs) != 1:
        expected = "the file of one" if segs or not path.is_dir() else "the file of one, or a folder with organs' masks"
        what = f"{len(segs)} segmentations ({', '.join(one.name for one in segs)})" if segs else "no segmentation"
        raise InputError(f"{path} holds {what} (DICOM SEG); give {expected}.")
    return segs[0]


def _as_volume(volume, source: str) -> Volume:
    """The `Volume` of one of highdicom's, whose affine takes (slice, row, column) to LPS in mm; right-handed."""
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
