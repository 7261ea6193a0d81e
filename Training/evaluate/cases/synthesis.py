"""Pairs of a real CT and its label map, as synthesis is measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from MedDiffFMLib.anatomy.label_maps.reading import Anatomy, read_anatomy
from MedDiffFMLib.anatomy.regions import REGIONS
from MedDiffFMLib.anatomy.segmenter import find_organs
from MedDiffFMLib.anatomy.tissue import BodyImage, complete_labels, find_tissue
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.checks import check_ct
from MedDiffFMLib.volumes.frame import prepare
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume

from .volumes import axial_slab


@dataclass(frozen=True)
class LabeledCt:
    """A real CT (float32 HU) and its label map (0–121) on one grid.

    labels: what the model is told; organs: those of `labels` or more, which medians and Dice go by. made_by: where the
    labels come from, in words.
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


def load_pair(
    file: Path,
    region: str,
    spacing_mm: float | None,
    slab_mm: float | None = None,
    segment: bool = False,
    tell_organs: bool = True,
) -> LabeledCt:
    """A CT and its label map: the organs of NAME_seg.nii.gz beside it, if there are any (or TotalSegmentator's, if
    `segment`), and over the rest what thresholds find: body, lungs, bones, gas.

    spacing_mm: the isotropic grid of both, None for the CT's own. slab_mm: only the middle of the CT, along z.
    tell_organs: False for a label map of what thresholds find alone.
    """
    ct = read_volume(file)
    check_ct(ct)
    organs = given_organs(file, ct)
    if organs is None and segment:
        organs = find_organs(ct)
    ct, made_by = middle(ct, slab_mm), "thresholds"
    told = known = find_tissue(BodyImage(ct.voxels, ct.spacing[::-1]))
    if organs is not None:
        known = complete_labels(middle(organs, slab_mm).voxels.astype(np.uint8), known)
    if organs is not None and tell_organs:
        told, made_by = known, f"{organs.made_by} organs, thresholds elsewhere"
    frame = prepare(smoothed(ct, spacing_mm) if spacing_mm else ct, spacing_mm)
    told, known = (frame.labels(ct.with_voxels(labels)) for labels in (told, known))
    labels = replace(frame.volume, voxels=told, source="")
    return LabeledCt(file.name.removesuffix(".nii.gz"), region, frame.volume, labels, known, made_by)


def given_organs(file: Path, ct: Volume) -> Anatomy | None:
    """The organs in NAME_seg.nii.gz beside a CT, None if there is no such file or it names none (but lesions)."""
    beside = file.with_name(file.name.replace(".nii.gz", "_seg.nii.gz"))
    try:
        return read_anatomy(beside, like=ct) if beside.is_file() else None
    except InputError:
        return None


def middle(volume: Volume, slab_mm: float | None) -> Volume:
    """The middle `slab_mm` of a volume along z (all of it if None), its axes ordered as LPS; float32."""
    upwards = np.abs(np.reshape(volume.direction, (3, 3))[2])
    spacing = volume.spacing[int(np.argmax(upwards))]
    return axial_slab(volume, max(2, round(slab_mm / spacing)) if slab_mm else None)


def smoothed(ct: Volume, spacing_mm: float) -> Volume:
    """A CT without what a grid of `spacing_mm` could not hold, so that it is coarser there, not noisier."""
    factors = np.maximum(spacing_mm / np.array(ct.spacing[::-1]), 1.0)
    return ct.with_voxels(ndimage.gaussian_filter(ct.voxels, 0.5 * np.sqrt(factors**2 - 1), mode="nearest"))


def painted(pair: LabeledCt) -> Volume:
    """The label map in HU: each label in the real CT's own median, without any texture."""
    voxels = np.full(pair.ct.voxels.shape, -1000, np.float32)
    for number in np.unique(pair.organs[pair.body]):
        where = pair.body & (pair.organs == number)
        voxels[where] = np.median(pair.ct.voxels[where])
    return pair.ct.with_voxels(voxels)


def grouped(regions: Mapping[str, str]) -> dict[str, list[str]]:
    """{region: its cases}, and "overall" if there is more than one region."""
    groups: dict[str, list[str]] = {}
    for name, region in regions.items():
        groups.setdefault(region, []).append(name)
    return groups | ({"overall": list(regions)} if len(groups) > 1 else {})
