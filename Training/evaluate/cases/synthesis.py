"""Pairs of a real CT and its label map, as synthesis is measured on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from MedDiffFMLib.anatomy.body_regions import crop_to_span, split_body, whole_scan
from MedDiffFMLib.anatomy.label_maps.reading import Anatomy, read_anatomy
from MedDiffFMLib.anatomy.region_detection import detect_region
from MedDiffFMLib.anatomy.regions import REGIONS
from MedDiffFMLib.anatomy.tissue import BodyImage, complete_labels, find_tissue
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.checks import check_ct
from MedDiffFMLib.volumes.frame import prepare
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume

from .case_list import AUTO
from .volumes import axial_slab


@dataclass(frozen=True)
class LabeledCt:
    """A real CT (float32 HU) and its label map (0–121) on one grid.

    labels: the model's condition; organs: those of `labels` or more, for medians and Dice. made_by: where the labels
    come from, in words.
    """

    name: str
    region: str
    ct: Volume
    labels: Volume
    organs: np.ndarray
    made_by: str

    @property
    def window(self) -> tuple[float, float]:
        return REGIONS[self.region].window

    @property
    def body(self) -> np.ndarray:
        return self.labels.voxels > 0


@dataclass(frozen=True)
class PairOptions:
    """The options for reading pairs. spacing_mm: the isotropic grid of both, None for the CT's own. slab_mm: only the
    middle of the CT, along z. segment: finds a CT's organs where none are given, None to leave it at thresholds.
    condition_on_organs: False for a label map of what thresholds find alone.
    """

    spacing_mm: float | None = None
    slab_mm: float | None = None
    segment: Callable[[Volume], Anatomy] | None = None
    condition_on_organs: bool = True


def load_pairs(
    file: Path, region: str, options: PairOptions, anatomy: Path | str | None = None, name: str | None = None
) -> list[LabeledCt]:
    """The pairs of a CT: one, or with the region "auto" one for each region that it shows, cut as `train prepare` cuts
    it, its name followed by the region's. anatomy: as of `load_pair`; name: of the case, None for the file's.
    """
    if region != AUTO:
        pair = load_pair(file, region, options, anatomy)
        return [replace(pair, name=name or pair.name)]
    ct, organs = _read(file, options, anatomy)
    frame = prepare(ct)
    whole, image = frame.volume, BodyImage(frame.hu, frame.spacing)
    given = None if organs is None else whole.with_voxels(frame.labels(organs).astype(np.uint8))
    parts = split_body(image, None if given is None else given.voxels)
    found = parts or [whole_scan(detect_region(image), len(image.hu))]
    tissue = whole.with_voxels(find_tissue(image))
    pairs = []
    for part in found:
        cut = [volume and middle(crop_to_span(volume, part), options.slab_mm) for volume in (whole, tissue, given)]
        label = f"{name or _name(file)}{f'-{part.region.name}' if parts else ''}"
        pairs.append(_pair(label, part.region.name, *cut, organs and organs.made_by, options))
    return pairs


def load_pair(file: Path, region: str, options: PairOptions, anatomy: Path | str | None = None) -> LabeledCt:
    """A CT and its label map: given organs, if there are any (or those that `options.segment` finds), and over the rest
    what thresholds find: body, lungs, bones, gas.

    anatomy: a label map, "auto" to look for organs whatever lies beside the CT, "none" for none; None for those of
    NAME_seg.nii.gz beside it.
    """
    ct, organs = _read(file, options, anatomy)
    ct = middle(ct, options.slab_mm)
    tissue = ct.with_voxels(find_tissue(BodyImage(ct.voxels, ct.spacing[::-1])))
    given = None if organs is None else middle(organs, options.slab_mm)
    return _pair(_name(file), region, ct, tissue, given, organs and organs.made_by, options)


def _pair(
    name: str,
    region: str,
    ct: Volume,
    tissue: Volume,
    organs: Volume | None,
    organs_by: str | None,
    options: PairOptions,
) -> LabeledCt:
    """A pair on the grid that is measured on, of a CT, what thresholds find, and organs on one grid."""
    condition = known = tissue.voxels.astype(np.uint8)
    made_by = "thresholds"
    if organs is not None:
        known = complete_labels(organs.voxels.astype(np.uint8), known)
    if organs is not None and options.condition_on_organs:
        condition, made_by = known, f"{organs_by} organs, thresholds elsewhere"
    spacing = options.spacing_mm
    frame = prepare(smooth(ct, spacing) if spacing else ct, spacing)
    condition, known = (frame.labels(ct.with_voxels(labels)) for labels in (condition, known))
    labels = replace(frame.volume, voxels=condition, source="")
    return LabeledCt(name, region, frame.volume, labels, known, made_by)


def _name(file: Path) -> str:
    return file.name.removesuffix(".nii.gz")


def _read(file: Path, options: PairOptions, anatomy: Path | str | None) -> tuple[Volume, Anatomy | None]:
    """A CT and the organs that are known of it, on its grid."""
    ct = read_volume(file)
    check_ct(ct)
    return ct, _organs(file, ct, options, anatomy)


def _organs(file: Path, ct: Volume, options: PairOptions, anatomy: Path | str | None) -> Anatomy | None:
    if isinstance(anatomy, Path):
        return read_anatomy(anatomy, like=ct)
    organs = given_organs(file, ct) if anatomy is None else None
    if organs is None and anatomy == AUTO and options.segment is None:
        raise InputError(f"{file} is to be given organs by TotalSegmentator: choose --segmenter totalsegmentator.")
    return options.segment(ct) if organs is None and options.segment and anatomy != "none" else organs


def given_organs(file: Path, ct: Volume) -> Anatomy | None:
    """The organs in NAME_seg.nii.gz beside a CT, None if there is no such file or it names none (but lesions)."""
    beside = file.with_name(file.name.removesuffix(".nii.gz") + "_seg.nii.gz")
    try:
        return read_anatomy(beside, like=ct) if beside.is_file() else None
    except InputError:
        return None


def middle(volume: Volume, slab_mm: float | None) -> Volume:
    """The middle `slab_mm` of a volume along z (all of it if None), its axes ordered as LPS; float32."""
    upwards = np.abs(np.reshape(volume.direction, (3, 3))[2])
    spacing = volume.spacing[int(np.argmax(upwards))]
    return axial_slab(volume, max(2, round(slab_mm / spacing)) if slab_mm else None)


def smooth(ct: Volume, spacing_mm: float) -> Volume:
    """A CT without what a grid of `spacing_mm` could not hold, so that it is coarser there, not noisier."""
    factors = np.maximum(spacing_mm / np.array(ct.spacing[::-1]), 1.0)
    return ct.with_voxels(ndimage.gaussian_filter(ct.voxels, 0.5 * np.sqrt(factors**2 - 1), mode="nearest"))


def paint_labels(pair: LabeledCt) -> Volume:
    """The label map in HU: each label in the real CT's own median, without any texture."""
    voxels = np.full(pair.ct.voxels.shape, -1000, np.float32)
    for number in np.unique(pair.organs[pair.body]):
        where = pair.body & (pair.organs == number)
        voxels[where] = np.median(pair.ct.voxels[where])
    return pair.ct.with_voxels(voxels)


def group_by_region(regions: Mapping[str, str]) -> dict[str, list[str]]:
    """{region: its cases}, and "overall" if there is more than one region."""
    groups: dict[str, list[str]] = {}
    for name, region in regions.items():
        groups.setdefault(region, []).append(name)
    return groups | ({"overall": list(regions)} if len(groups) > 1 else {})
