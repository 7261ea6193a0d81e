"""One CT series from a DICOM folder, read with GDCM. No patient data is read into messages or kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .errors import InputError
from .itk import quiet

_CT_IMAGE_STORAGE = b"1.2.840.10008.5.1.4.1.1.2\0"
_TILT_DEGREES = 0.1  # 0.5 mm at the end of a 300 mm volume; rounded positions stay far below
_GAP_TOLERANCE = 0.05, 0.1  # share of the usual gap, and mm for rounded positions; a missing slice is a whole gap


@dataclass(frozen=True)
class Slice:
    """What one file says about itself. Positions in mm (LPS)."""

    path: str
    series_uid: str
    series_number: str
    modality: str
    frames: int
    rescale: tuple[str, str]
    layout: tuple  # matrix, pixel spacing and orientation: the same in all slices of a volume
    position: np.ndarray
    row_and_column: np.ndarray  # (2, 3) direction cosines

    @property
    def normal(self) -> np.ndarray:
        return np.cross(*self.row_and_column)


def read_dicom_folder(folder: Path) -> sitk.Image:
    """The folder's only series as an image in HU (slope and intercept applied). Subfolders are not searched.

    Raises InputError, listing modality, number of slices, spacing and series number, if there is more than one series,
    anything but CT, missing or uneven slices, or a gantry tilt.
    """
    slices = [found for path in sorted(folder.iterdir()) if path.is_file() and (found := _read_slice(path))]
    if not slices:
        raise InputError(f"{folder} holds no DICOM images; give the folder with the slices of one CT series.")
    series = _group(slices)
    listing = "; ".join(_describe(group) for group in series)
    if len(series) > 1:
        raise InputError(f"{folder} holds {len(series)} series ({listing}); put one of them alone in a folder.")
    group = series[0]
    if group[0].modality != "CT":
        raise InputError(f"{folder} is not a CT ({listing}); give a CT series.")
    if any(one.frames > 1 for one in group):
        raise InputError(f"{folder} holds multi-frame DICOM ({listing}); convert it to NIfTI first (with dcm2niix).")
    _check_stack(group, folder, listing)
    return _read_pixels(group, folder)


def _read_slice(path: Path) -> Slice | None:
    """None for files that are no DICOM image (text, DICOMDIR, structures); InputError for a damaged CT slice."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("GDCMImageIO")
    try:
        with quiet():
            reader.ReadImageInformation()
        tags = {key: reader.GetMetaData(key).strip("\0 ") for key in reader.GetMetaDataKeys()}
        position = _numbers(tags["0020|0032"], 3)
        orientation = _numbers(tags["0020|0037"], 6).reshape(2, 3)
    except (RuntimeError, KeyError, ValueError):
        with open(path, "rb") as file:
            start = file.read(400)
        if start[128:132] == b"DICM" and _CT_IMAGE_STORAGE in start:
            raise InputError(
                f"{path} is a damaged CT slice (or lacks its position); export the series again or remove it."
            ) from None
        return None
    layout = (tags.get("0028|0010"), tags.get("0028|0011"), tags.get("0028|0030"), *np.round(orientation, 4).flat)
    return Slice(
        str(path),
        tags.get("0020|000e", ""),
        tags.get("0020|0011", "?"),
        tags.get("0008|0060", "?"),
        int(tags.get("0028|0008") or 1),
        (tags.get("0028|1053", "1"), tags.get("0028|1052", "0")),
        layout,
        position,
        orientation,
    )


def _numbers(text: str, count: int) -> np.ndarray:
    values = np.array([float(part) for part in text.split("\\")])
    if values.size != count or not np.isfinite(values).all():
        raise ValueError(text)
    return values


def _group(slices: list[Slice]) -> list[list[Slice]]:
    """The slices of each series from first to last along their normal, the series by number."""
    groups: dict[str, list[Slice]] = {}
    for one in slices:
        groups.setdefault(one.series_uid, []).append(one)
    for group in groups.values():
        normal = group[0].normal
        group.sort(key=lambda one: float(one.position @ normal))
    return sorted(groups.values(), key=lambda group: group[0].series_number.zfill(8))


def _gaps(group: list[Slice]) -> np.ndarray:
    """Distances (slices − 1) in mm along the normal."""
    return np.diff([one.position @ group[0].normal for one in group])


def _describe(group: list[Slice]) -> str:
    usual = f", {np.median(_gaps(group)):.3g} mm apart" if len(group) > 1 else ""
    return f"series {group[0].series_number}: {group[0].modality}, {len(group)} slices{usual}"


def _check_stack(group: list[Slice], folder: Path, listing: str) -> None:
    if len(group) < 2:
        raise InputError(f"{folder} holds a single slice ({listing}); give the whole series.")
    if len({one.layout for one in group}) > 1:
        raise InputError(
            f"{folder} mixes slices of different size or orientation ({listing}), a localizer perhaps; keep one kind."
        )
    gaps = _gaps(group)
    usual = float(np.median(gaps))
    if gaps.min() < 0.01:
        raise InputError(
            f"{folder} holds several slices at one position ({listing}), perhaps several phases; keep one of them."
        )
    share, rounding = _GAP_TOLERANCE
    uneven = np.flatnonzero(np.abs(gaps - usual) > share * usual + rounding)
    if uneven.size:
        found = Counter(f"{gaps[i]:.3g}" for i in uneven)
        sizes = ", ".join(f"{count} × {mm} mm" for mm, count in found.most_common(5))
        raise InputError(
            f"{folder} has missing or unevenly spaced slices ({listing}; other gaps: {sizes}, the first after slice "
            f"{uneven[0] + 1}); export the complete series again."
        )
    way = group[-1].position - group[0].position
    tilt = np.degrees(np.arccos(np.clip(way @ group[0].normal / np.linalg.norm(way), -1, 1)))
    if tilt > _TILT_DEGREES:
        raise InputError(
            f"{folder} was scanned with a tilted gantry (slices sheared by {tilt:.1f}°; {listing}); "
            "resample it onto a right-angled grid first (dcm2niix does)."
        )


def _read_pixels(group: list[Slice], folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([one.path for one in group])
    reader.SetImageIO("GDCMImageIO")
    if len({one.rescale for one in group}) > 1:  # else the first slice's type, which may be too narrow for the others
        reader.SetOutputPixelType(sitk.sitkFloat32)
    try:
        with quiet():
            image = reader.Execute()
    except RuntimeError:
        raise InputError(f"{folder} has a damaged slice that cannot be read; export the series again.") from None
    if image.GetNumberOfComponentsPerPixel() > 1:
        raise InputError(f"{folder} holds colour images; give a CT series.")
    return image
