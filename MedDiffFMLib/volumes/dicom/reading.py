"""Read one CT from DICOM: a folder with the slices of a series and perhaps other files, or one multi-frame file.

pydicom reads the headers; what decides is each slice's own position, pixel spacing, rescaling and pixel layout. No
patient data is read into messages or kept.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import takewhile
from pathlib import Path

import numpy as np
from pydicom import Dataset

from ...errors import InputError
from ..checks import check_grid
from ..volume import Volume
from .files import files_below, files_in, quiet_pydicom, read_header, text
from .pixels import Pixels, read_hu, slice_hu
from .slices import DicomSlice, frames, is_ct, is_localizer, slices_of
from .stack import (
    SAME_PLACE_MM,
    alike,
    check_frames_of_reference,
    check_stack,
    check_units,
    common_thickness,
    gaps,
    grid,
    in_order,
)

_MOST_LISTED = 8
_DIRECTORY = "1.2.840.10008.1.3.10"  # DICOMDIR

Series = list[tuple[Path, Dataset]]


@quiet_pydicom()
def read_dicom_folder(path: Path) -> Volume:
    """The only CT series of several slices in a folder, or of a multi-frame file, in HU. Subfolders are searched if the
    folder itself holds no CT.

    Raises InputError if there is no CT or more than one (listed by series number, modality, number of slices and
    spacing), for missing or uneven slices, a gantry tilt, or a slice that is damaged or has no position.
    """
    slices, warnings = find_slices(path)
    where = grid(slices)
    check_grid((len(slices), *slices[0].shape), where["spacing"], str(path))
    volume = Volume(read_hu(slices), **where, source=str(path), slice_thickness=common_thickness(slices))
    for sentence in warnings:
        volume = volume.with_warning(sentence)
    return volume


@quiet_pydicom()
def find_slices(path: Path) -> tuple[list[DicomSlice], list[str]]:
    """The slices of the CT at a path, in the order of the volume, and warnings. InputError as `read_dicom_folder`."""
    ct, others = _choose(path)
    slices = in_order([one for file, header in ct for one in slices_of(file, header)])
    _check_single(path, slices, others)
    warnings = [_left_out(others)] if others else []
    slices, copies = _without_copies(slices)
    if copies:
        warnings.append(f"{copies} of the files are copies of other slices and were left out.")
    check_stack(slices, path, describe(ct, copies))
    warnings += [check_units(slices, path), check_frames_of_reference(slices)]
    return slices, [sentence for sentence in warnings if sentence]


def _choose(path: Path) -> tuple[Series, list[Series]]:
    """The files of the CT series to read, and those of the other series."""
    if path.is_dir():
        all_series = _series(files_in(path))
        if not any(_is_ct(series) for series in all_series):
            all_series = _series(files_below(path))
    else:
        all_series = _series([path])
    if not all_series:
        raise InputError(f"{path} holds no DICOM images; give the folder with the slices of one CT series.")
    listing = _listing(all_series)
    cts = [series for series in all_series if _is_ct(series)]
    if not cts:
        raise InputError(f"{path} is not a CT ({listing}); give a CT series.")
    if path.is_file() and frames(cts[0][0][1]) == 1:
        raise InputError(f"{path} is one slice of a series; give its folder, {path.parent}.")
    stacks = [series for series in cts if sum(frames(header) for _, header in series) > 1] or cts
    if len(stacks) > 1:
        raise InputError(f"{path} holds {len(all_series)} series ({listing}); put one of them alone in a folder.")
    return stacks[0], [series for series in all_series if series is not stacks[0]]


def _series(files: list[Path]) -> list[Series]:
    """DICOM files by series, those by their number; the localizers of a series are one of their own."""
    groups: dict[tuple, Series] = defaultdict(list)
    for file in files:
        header = read_header(file)
        if header is None or header.file_meta.get("MediaStorageSOPClassUID") == _DIRECTORY:
            continue
        key = text(header, "SeriesInstanceUID"), text(header, "Modality"), is_ct(header), is_localizer(header)
        groups[key].append((file, header))
    return sorted(groups.values(), key=lambda series: text(series[0][1], "SeriesNumber").zfill(8))


def _is_ct(series: Series) -> bool:
    """Whether a series is of CT images."""
    return is_ct(series[0][1])


def describe(series: Series, copies: int = 0) -> str:
    """A series by number, modality, count and spacing: nothing of the patient. copies: files that do not count."""
    header = series[0][1]
    number, modality = text(header, "SeriesNumber") or "?", text(header, "Modality") or "?"
    kind = " localizer" if is_localizer(header) else ""
    image = "Rows" in header
    count = sum(frames(one) for _, one in series) - copies
    unit = ("slice" if image else "file") + "s" * (count > 1)
    return f"series {number}: {modality}{kind}, {count} {unit}{_distance_text(series) if image and count > 1 else ''}"


def _distance_text(series: Series) -> str:
    """The usual distance of a series' slices, in words; empty if they cannot be ordered."""
    try:
        slices = in_order([one for file, header in series for one in slices_of(file, header)])
    except InputError:
        return ""
    return f", {np.median(gaps(slices)):.3g} mm apart"


def _listing(all_series: list[Series]) -> str:
    """The first of several series, in words."""
    return "; ".join([*map(describe, all_series[:_MOST_LISTED]), *(["…"] if len(all_series) > _MOST_LISTED else [])])


def _left_out(others: list[Series]) -> str:
    """The warning about files beside the CT."""
    count = sum(len(series) for series in others)
    return f"{count} other DICOM file{'s were' if count > 1 else ' was'} left out beside the CT ({_listing(others)})."


def _check_single(path: Path, slices: list[DicomSlice], others: list[Series]) -> None:
    """Check the slices left out: InputError if one looks like those taken: it may belong to them."""
    for series in others:
        if not _is_ct(series):
            continue
        try:
            (one,) = [one for file, header in series for one in slices_of(file, header)]
        except (InputError, ValueError):
            continue
        if alike(one, slices[0]):
            raise InputError(
                f"{path} holds a slice that is like the others and of another series ({one.path.name}); give it the "
                "UID of the series it belongs to, or remove it."
            )


def _without_copies(slices: list[DicomSlice]) -> tuple[list[DicomSlice], int]:
    """Ordered slices without those that are copies of one before: of one UID, place and content."""
    kept: list[DicomSlice] = []
    for one in slices:
        if not any(_same(one, other) for other in _at_place(one, kept)):
            kept.append(one)
    return kept, len(slices) - len(kept)


def _at_place(one: DicomSlice, ordered: list[DicomSlice]) -> list[DicomSlice]:
    """The previous slices, ordered along the normal, at the position of this one."""
    return list(takewhile(lambda other: np.linalg.norm(one.position - other.position) < SAME_PLACE_MM, ordered[::-1]))


def _same(one: DicomSlice, other: DicomSlice) -> bool:
    """Whether both are the same image: of one UID, frame and content."""
    if (one.uid, one.frame) != (other.uid, other.frame):
        return False
    return np.array_equal(*(slice_hu(image, Pixels(image.path)) for image in (one, other)))
