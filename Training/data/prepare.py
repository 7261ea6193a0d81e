"""One CT of a manifest to the store: read, checked, ordered, split into regions, labeled, cropped, written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MedDiffFMLib.anatomy.body_regions import RegionSpan, split_body, whole_scan
from MedDiffFMLib.anatomy.label_maps.reading import Anatomy, read_anatomy
from MedDiffFMLib.anatomy.region_detection import detect_region
from MedDiffFMLib.anatomy.regions import REGIONS
from MedDiffFMLib.anatomy.tissue import BODY_LABEL, BodyImage, complete_labels, find_tissue
from MedDiffFMLib.errors import DiskFullError, InputError, in_words
from MedDiffFMLib.volumes.frame import Frame
from MedDiffFMLib.volumes.frame import prepare as to_frame
from MedDiffFMLib.volumes.io import read_labels, read_volume
from MedDiffFMLib.volumes.volume import Volume

from .coverage import given_box
from .manifest import AUTO, NONE, ManifestRow
from .quality import ScanQuality, content_hash, examine, remove_padding
from .same_scan import check_same_scan
from .split import STORED, patient_hash
from .store import CaseFacts, write_case

LEAST_COVERED = 0.9  # of the body by the second CT of a pair


@dataclass(frozen=True)
class Settings:
    """The settings of a store. spacing_mm: the isotropic grid (the paper's is 1 mm), None for the scan's own; salt: of
    the patients' hashes.
    """

    spacing_mm: float | None = 1.0
    salt: str = ""


@dataclass
class Outcome:
    """The outcome of a row. status: accepted, warning, or refused; cases: their names in the store, none of test and
    held-out patients; content: see `content_hash`; sources: see `run.fingerprint`.
    """

    name: str
    line: int
    split: str
    patient: str
    status: str = "accepted"
    reasons: list[str] = field(default_factory=list)
    cases: list[str] = field(default_factory=list)
    regions: list[str] = field(default_factory=list)
    quality: ScanQuality | None = None
    content: str = ""
    sources: str = ""
    seconds: float = 0.0

    def refuse(self, reason: str) -> None:
        self.status, self.reasons, self.cases = "refused", [reason], []


def prepare_row(row: ManifestRow, split: str, settings: Settings, folder: Path) -> Outcome:
    """Prepare one CT: its cases come to folder/SPLIT/NAME, and the outcome is returned, whatever happened.

    Only a full disk and Ctrl-C are not about this CT and are raised.
    """
    outcome = Outcome(row.name, row.line, split, patient_hash(row.patient, settings.salt))
    started = time.monotonic()
    try:
        _prepare(row, settings, folder, outcome)
    except DiskFullError:
        raise
    except Exception as error:
        if getattr(error, "errno", None) == 28:
            raise DiskFullError(
                f"There is no room left in {folder}: free some and run the same command again."
            ) from None
        outcome.refuse(_without_names(in_words(error), row))
    outcome.seconds = round(time.monotonic() - started, 1)
    return outcome


def _prepare(row: ManifestRow, settings: Settings, folder: Path, outcome: Outcome) -> None:
    volume, padding = remove_padding(read_volume(row.path))
    scan = to_frame(volume)
    outcome.content = content_hash(scan.hu)
    image = BodyImage(scan.hu, scan.spacing)
    organs = _organs(row, volume)
    given = None if organs is None else scan.labels(organs)
    parts = _parts(row, image, given)
    outcome.regions = [part.region.name for part in parts]
    padding = to_frame(volume.with_voxels(padding.astype(np.int16))).hu > 0
    outcome.quality = examine(scan.hu, scan.spacing, image.body, padding, [part.region for part in parts])
    lesion, pair, coverage = _lesion(row, volume), _pair(row), _coverage(row, volume)
    outcome.reasons = list(outcome.quality.warnings)
    if organs is not None and organs.as_body:
        outcome.reasons.append(f"{organs.as_body} names of no class in its label map counted as body")
    if lesion is not None and not lesion.voxels.any():
        outcome.reasons.append("no lesion in its mask")
    if coverage is not None:
        outcome.reasons.append(f"given in part ({np.mean(coverage.voxels > 0):.0%})")
    outcome.status = "warning" if outcome.reasons else "accepted"
    if outcome.split not in STORED:
        return
    if settings.spacing_mm is not None:
        if coverage is not None:
            raise InputError("A CT that was given in part is not resampled, its blank would spread: use --spacing own.")
        scan = to_frame(volume, settings.spacing_mm)
        image = BodyImage(scan.hu, scan.spacing)
        given = None if organs is None else scan.labels(organs)
        parts = _parts(row, image, given)
    images = {"labels": _labels(image, given)}
    images |= {n: scan.labels(m) > 0 for n, m in (("lesion", lesion), ("coverage", coverage)) if m is not None}
    images |= {} if pair is None else {"pair": _onto(pair, scan.volume, image.body)}
    _write(row, scan, parts, images, folder, outcome)


def _write(
    row: ManifestRow,
    scan: Frame,
    parts: Sequence[RegionSpan],
    images: dict[str, np.ndarray],
    folder: Path,
    outcome: Outcome,
) -> None:
    """Write the cases of a scan, one of each part; images: of its frame, by the names of `write_case`."""
    for part in parts:
        name = row.name if len(parts) == 1 else f"{row.name}-{part.region.name}"
        noise = outcome.quality.noise_hu or 0.0
        placed = outcome.quality.placed if row.placed is None else row.placed
        facts = CaseFacts(name, outcome.patient, part.region.name, scan.spacing, round(noise, 1), placed)
        shown = {"hu": scan.hu[part.z]} | {name: image[part.z] for name, image in images.items()}
        if "coverage" in shown:
            shown = dict(zip(shown, given_box(**shown), strict=True))
        write_case(folder, outcome.split, facts, **shown)
        outcome.cases.append(name)


def _parts(row: ManifestRow, image: BodyImage, organs: np.ndarray | None) -> list[RegionSpan]:
    """The regions of a scan as at inference: each part is a whole image of its own, with what it shares with its
    neighbors.
    """
    if row.region != AUTO:
        return [whole_scan(REGIONS[row.region], len(image.hu))]
    parts = split_body(image, organs)
    return parts or [whole_scan(detect_region(image), len(image.hu))]


def _organs(row: ManifestRow, volume: Volume) -> Anatomy | None:
    """The row's label map on the CT's grid; None without one."""
    if row.anatomy == NONE:
        return None
    if row.anatomy == AUTO:
        import torch

        from MedDiffFMLib.anatomy.segmenter import find_organs

        return find_organs(volume, torch.device("cuda") if torch.cuda.is_available() else None)
    return read_anatomy(row.anatomy, like=volume)


def _labels(image: BodyImage, organs: np.ndarray | None) -> np.ndarray:
    """Given organs, elsewhere, and where a label map says only body, what thresholds find: body, lung, bone or gas."""
    found = find_tissue(image)
    if organs is None:
        return found
    tissue = np.where((organs == BODY_LABEL) & (found > 0), 0, organs)
    return complete_labels(tissue, found)


def _lesion(row: ManifestRow, volume: Volume) -> Volume | None:
    """The row's lesions on the CT's grid as 0 and 1; None without a mask."""
    if row.lesion is None:
        return None
    mask = read_labels(row.lesion, like=volume)
    marked = np.isin(mask.voxels, row.lesion_labels) if row.lesion_labels else mask.voxels > 0
    return mask.with_voxels(marked.astype(mask.voxels.dtype))


def _pair(row: ManifestRow) -> Volume | None:
    return None if row.pair is None else remove_padding(read_volume(row.pair))[0]


def _coverage(row: ManifestRow, volume: Volume) -> Volume | None:
    """The mask of where the row's CT was given, 0 and 1 on its grid; None for a whole CT."""
    if row.coverage is None:
        return None
    mask = read_labels(row.coverage, like=volume)
    return mask.with_voxels((mask.voxels > 0).astype(np.uint8))


def _onto(pair: Volume, frame: Volume, body: np.ndarray) -> np.ndarray:
    """The second CT in HU (float32) on the frame's grid: linear, as thick slices are interpolated at inference, and the
    end slice beyond its ends. InputError if it does not show the body, or something else.
    """
    grid = frame.to_sitk()
    ones = sitk.GetImageFromArray(np.ones(pair.voxels.shape, np.uint8))
    ones.CopyInformation(pair.to_sitk())
    covered = sitk.GetArrayFromImage(sitk.Resample(ones, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0)) > 0
    if np.mean(covered[body]) < LEAST_COVERED:
        raise InputError(
            f"{pair.source} shows only {np.mean(covered[body]):.0%} of the body of the CT: give the pair of this CT, "
            "in the same coordinates."
        )
    resample = sitk.ResampleImageFilter()
    resample.SetReferenceImage(grid)
    resample.SetInterpolator(sitk.sitkLinear)
    resample.SetOutputPixelType(sitk.sitkFloat32)
    resample.UseNearestNeighborExtrapolatorOn()
    found = sitk.GetArrayFromImage(resample.Execute(pair.to_sitk()))
    check_same_scan(found, frame.voxels, f"{pair.source} and its CT")
    return found


def _without_names(text: str, row: ManifestRow) -> str:
    """A reason without the row's paths and patient, which may identify the person: the names of the columns replace
    them.
    """
    for column, path in sorted(row.files.items(), key=lambda item: -len(str(item[1]))):
        text = text.replace(str(path), f"<{column}>")
    return text.replace(row.patient, "<patient>") if len(row.patient) > 3 else text
