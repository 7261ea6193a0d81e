"""Checks that slices form one even stack: their order along the normal, and a message if they do not."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np

from ...errors import InputError
from .files import text
from .slices import DicomSlice

SAME_PLACE_MM = 0.01  # slices are no nearer to each other
_TILT_DEGREES = 0.1  # 0.5 mm at the end of a 300 mm volume; rounded positions stay far below
_GAP_TOLERANCE = 0.05, 0.1  # share of the usual gap, and mm for rounded positions; a missing slice is a whole gap
_ROUNDING = 1e-3, 0.1  # of direction cosines between slices, and mm at the last pixel of rounded pixel spacings
_SAME_THICKNESS = 0.01  # share of it
_NO_HU = ("OD", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT")  # the standard's other units
_HU = ("HU", "", "US", "UNSPECIFIED")  # ITK writes the third; whether the values can be HU is checked anyway


def in_order(slices: list[DicomSlice]) -> list[DicomSlice]:
    """The slices from first to last along their normal, those at one place by their number in the file."""
    normal = slices[0].normal
    return sorted(slices, key=lambda one: (round(float(one.position @ normal), 4), one.frame))


def gaps(slices: list[DicomSlice]) -> np.ndarray:
    """The distances (slices − 1) in mm along the normal."""
    return np.diff([one.position @ slices[0].normal for one in slices])


def alike(one: DicomSlice, other: DicomSlice) -> bool:
    """Whether both have one matrix, pixel spacing and orientation, however their numbers are rounded."""
    cosines, mm = _ROUNDING
    widths = np.abs(np.subtract(one.spacing, other.spacing)) * one.shape
    return one.shape == other.shape and bool(np.abs(one.axes - other.axes).max() <= cosines and widths.max() <= mm)


def check_stack(slices: list[DicomSlice], source: Path, listing: str) -> None:
    """Check ordered slices: InputError unless they are one volume, alike, even, of one pass and not sheared."""
    if len(slices) < 2:
        raise InputError(f"{source} holds a single slice ({listing}); give the whole series.")
    if not all(alike(slices[0], one) for one in slices):
        raise InputError(
            f"{source} mixes slices of different size or orientation ({listing}), a localizer perhaps; keep one kind."
        )
    if gaps(slices).min() < SAME_PLACE_MM:
        raise InputError(
            f"{source} holds several slices at one position ({listing}), perhaps several phases; keep one of them."
        )
    _check_passes(slices, source, listing)
    _check_gaps(slices, source, listing)
    way = slices[-1].position - slices[0].position
    tilt = np.degrees(np.arccos(np.clip(way @ slices[0].normal / np.linalg.norm(way), -1, 1)))
    if tilt > _TILT_DEGREES:
        raise InputError(
            f"{source} was scanned with a tilted gantry (slices sheared by {tilt:.1f}°; {listing}); "
            "resample it onto a right-angled grid first (dcm2niix does)."
        )
    _check_line(slices, source, listing)


def _check_passes(slices: list[DicomSlice], source: Path, listing: str) -> None:
    """Check the passes of a scan: their slices may follow each other, a pass after the other, and never alternate."""
    changes = 1 + sum(one.phase != other.phase for one, other in pairwise(slices))
    if changes > len({one.phase for one in slices}):
        raise InputError(
            f"{source} mixes slices of several acquisitions, phases or kernels that lie between each other "
            f"({listing}); keep one of them."
        )


def _check_gaps(slices: list[DicomSlice], source: Path, listing: str) -> None:
    """Check the distances: InputError if slices are missing or unevenly spaced."""
    distances = gaps(slices)
    usual = float(np.median(distances))
    relative, rounding = _GAP_TOLERANCE
    uneven = np.flatnonzero(np.abs(distances - usual) > relative * usual + rounding)
    if uneven.size:
        sizes = Counter(f"{distances[i]:.3g}" for i in uneven)
        shown = ", ".join(f"{count} × {mm} mm" for mm, count in sizes.most_common(5))
        raise InputError(
            f"{source} has missing or unevenly spaced slices ({listing}; other gaps: {shown}, the first after slice "
            f"{uneven[0] + 1}); export the complete series again."
        )


def _check_line(slices: list[DicomSlice], source: Path, listing: str) -> None:
    """Check the positions: InputError if a slice lies off the straight even line from the first to the last."""
    first, last = slices[0].position, slices[-1].position
    line = first + np.linspace(0, 1, len(slices))[:, None] * (last - first)
    off = np.linalg.norm([one.position for one in slices] - line, axis=1)
    relative, rounding = _GAP_TOLERANCE
    worst = int(off.argmax())
    if off[worst] > max(1.0, relative * float(np.median(gaps(slices))) + rounding):
        raise InputError(
            f"{source} has a slice {off[worst]:.1f} mm off the line of the others ({slices[worst].path.name}; "
            f"{listing}); export the series again."
        )


def check_units(slices: list[DicomSlice], source: Path) -> str:
    """A warning (empty: none) about what the stored values are; InputError if the slices contradict each other or are
    in another unit than HU.
    """
    without = [one for one in slices if one.slope is None]
    if without and len(without) < len(slices):
        raise InputError(
            f"{without[0].path} states no RescaleSlope and RescaleIntercept, as other slices do; export the series "
            "again."
        )
    units = {one.rescale_type for one in slices}
    if other := units & set(_NO_HU):
        raise InputError(f"{source} is in {' and '.join(sorted(other))}, not in HU (RescaleType); give a CT in HU.")
    if without:
        return "The DICOM files state no RescaleSlope and RescaleIntercept: their stored values were taken for HU."
    if other := units - set(_HU):
        return f"The DICOM files call the unit of their values {' and '.join(sorted(other))}, which was taken for HU."
    return ""


def check_frames_of_reference(slices: list[DicomSlice]) -> str:
    """A warning (empty: none) if positions are said to be of several coordinate systems."""
    several = {text(one.header, "FrameOfReferenceUID") for one in slices}
    if len(several) < 2:
        return ""
    return (
        f"The slices name {len(several)} frames of reference, so their positions may not be of one coordinate system; "
        "they were taken as if they were."
    )


def common_thickness(slices: list[DicomSlice]) -> float | None:
    """The thickness of the slices in mm, None unless all of them state the same."""
    stated = [one.thickness for one in slices if one.thickness is not None]
    if len(stated) < len(slices) or max(stated) - min(stated) > _SAME_THICKNESS * max(stated):
        return None
    return stated[0]


def grid(slices: list[DicomSlice]) -> dict:
    """Spacing, origin and direction of the volume of ordered slices, as `Volume` has them."""
    rows, columns = slices[0].spacing
    way = slices[-1].position - slices[0].position
    direction = np.stack([*slices[0].axes, slices[0].normal], axis=1)
    return {
        "spacing": (columns, rows, float(np.linalg.norm(way)) / (len(slices) - 1)),
        "origin": tuple(slices[0].position.tolist()),
        "direction": tuple(direction.ravel().tolist()),
    }
