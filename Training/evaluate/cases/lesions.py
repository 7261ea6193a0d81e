"""Lesions to measure: real ones with their masks, and places for new ones in healthy CT."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from MedDiffFMLib.anatomy.classes import label_numbers
from MedDiffFMLib.anatomy.lesion_masks import check_place, lesion_voxels, place_lesion
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.io import read_labels, read_volume, resample_labels_to
from MedDiffFMLib.volumes.volume import Volume

from .synthesis import LabeledCt
from .volumes import axial_slab, find_volume

# What people call a lesion's label, by the kind of ControlNet that draws it, and the organ that it lies in
LESION_WORDS = ("lesion", "tumor", "tumour", "nodule", "gtv", "node")
ORGAN_OF_KIND = {"lung": "lungs", "liver": "liver", "kidney": "kidney", "pancreas": "pancreas", "colon": "colon"}
REAL = {"lung": ("chest_lidc0314", "chest_nsclc001", "chest_lungpat1", "chest_lungpat2")}  # under --data


@dataclass(frozen=True)
class RealLesion:
    """A CT with a lesion that is there, its mask bool on the CT's grid (axes LPS)."""

    name: str
    file: Path
    region: str
    ct: Volume
    mask: np.ndarray


def real_lesions(folder: Path, names: Sequence[str], kind: str) -> list[RealLesion]:
    """The volumes NAME.nii.gz of a folder with NAME_seg.nii.gz and labels.json. InputError if one names no lesion."""
    found = []
    for name in names:
        file = find_volume(folder, name)
        ct, numbers = read_volume(file), lesion_numbers(file)
        labels = read_labels(file.with_name(f"{name}_seg.nii.gz"), like=ct)
        mask = axial_slab(labels.with_voxels(np.isin(labels.voxels, numbers).astype(np.uint8)))
        region = "chest" if kind == "lung" else "abdomen"
        found.append(RealLesion(name, file, region, axial_slab(ct), mask.voxels > 0))
    return found


def lesion_numbers(file: Path) -> list[int]:
    """The labels of lesions in NAME_seg.nii.gz, by the names in labels.json. InputError if there is none."""
    name, beside = file.name.removesuffix(".nii.gz"), file.with_name("labels.json")
    named = json.loads(beside.read_text(encoding="utf-8")).get(name, {}) if beside.is_file() else {}
    numbers = [int(n) for n, words in named.items() if any(word in words.lower() for word in LESION_WORDS)]
    if not numbers:
        raise InputError(f"{beside} names no lesion of {name}: write there which label of its mask is a lesion.")
    return numbers


@dataclass(frozen=True)
class LesionPlace:
    """The place of a new lesion in a healthy CT: a mask (0 and 1) on the pair's grid."""

    name: str
    pair: LabeledCt
    mask: Volume

    @property
    def lesion(self) -> np.ndarray:
        return self.mask.voxels > 0


def places(pair: LabeledCt, kind: str, diameters_mm: Sequence[float], seed: int) -> Iterator[LesionPlace]:
    """An ellipsoid of each diameter at a random place in the organ of a kind of lesion. One that does not fit, or whose
    organ is not there, is left out. What is dense in a lung (a lesion, a vessel) is no place.
    """
    organ = label_numbers(ORGAN_OF_KIND.get(kind, kind))
    free = np.isin(pair.labels.voxels, organ)
    if kind == "lung":  # thresholds close a lung's holes: a large one may be a lesion already
        dense = ndimage.binary_opening(free & (pair.ct.voxels > -400), iterations=2)
        free &= ~ndimage.binary_dilation(dense, iterations=3)
    where = replace(pair.labels, voxels=free.astype(np.uint8))
    for number, diameter in enumerate(diameters_mm):
        try:
            mask = place_lesion(where, (1,), diameter, seed + number)
        except InputError:
            continue
        yield LesionPlace(f"{pair.name}_{diameter:g}mm", pair, mask)


def own_place(lesion: RealLesion, pair: LabeledCt) -> Iterator[LesionPlace]:
    """The place of a real lesion in the label map of its own CT, to draw another one there; none where it is cut off by
    the CT's border, or lies outside of what thresholds take for the body.
    """
    mask = resample_labels_to(lesion.ct.with_voxels(lesion.mask.astype(np.uint8)), pair.ct)
    try:
        check_place(lesion_voxels(mask, pair.ct), pair.body, lesion.name)
    except InputError:
        return
    yield LesionPlace(f"{lesion.name}_own_mask", pair, mask)


def read_diameters(text: str) -> list[float]:
    """The diameters in a text such as "12,20,30", in mm. InputError unless each is 5 to 100 mm."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(5 <= mm <= 100 for mm in found):
        raise InputError(f"--diameters cannot be {text!r}: write millimeters from 5 to 100, as 12,20,30.")
    return found
