"""Lesions to measure: real ones with their masks, and places for new ones in healthy CT."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from MedDiffFMLib.anatomy.classes import label_numbers
from MedDiffFMLib.anatomy.lesion_masks import check_place, lesion_voxels, place_lesion
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.checks import check_ct
from MedDiffFMLib.volumes.io import read_labels, read_volume, resample_labels_to
from MedDiffFMLib.volumes.volume import Volume

from .case_list import Columns, ListedCase
from .label_text import read_label_numbers
from .synthesis import LabeledCt
from .volumes import axial_slab, find_volume

log = logging.getLogger(__name__)

# What people call a lesion's label
LESION_WORDS = ("lesion", "tumor", "tumour", "nodule", "gtv", "node", "cancer")
# The region of a kind of lesion, and the organ that it lies in; None for lymph nodes, which lie between organs
KINDS: dict[str, tuple[str, str | None]] = {
    "lung": ("chest", "lungs"),
    "liver": ("abdomen", "liver"),
    "kidney": ("abdomen", "kidney"),
    "pancreas": ("abdomen", "pancreas"),
    "colon": ("abdomen", "colon"),
    "med-ln": ("chest", None),
    "abd-ln": ("abdomen", None),
}
REAL = {"lung": ("chest_lidc0314", "chest_nsclc001", "chest_lungpat1", "chest_lungpat2")}  # under --data
OWN = "_own_mask"
LESION_LIST = Columns(("ct", "lesion"), ("anatomy",), ("lesion_labels",))


@dataclass(frozen=True)
class RealLesion:
    """The files of a CT with a lesion that is there. numbers: of the mask's labels that are lesion, none for all but 0;
    anatomy: as of `synthesis.load_pair`.
    """

    name: str
    file: Path
    region: str
    mask_file: Path
    numbers: Sequence[int] = ()
    anatomy: Path | str | None = None

    def read(self) -> tuple[Volume, np.ndarray]:
        """The CT, and its lesion as bool on the CT's grid (axes LPS). InputError if the mask holds none."""
        ct = read_volume(self.file)
        check_ct(ct)
        labels = read_labels(self.mask_file, like=ct)
        drawn = np.isin(labels.voxels, self.numbers) if self.numbers else labels.voxels > 0
        if not drawn.any():
            which = f" with the label {' or '.join(map(str, self.numbers))}" if self.numbers else ""
            raise InputError(
                f"{self.mask_file} holds no lesion{which}: name its labels, or leave the case {self.name} out."
            )
        mask = axial_slab(labels.with_voxels(drawn.astype(np.uint8)))
        return axial_slab(ct), mask.voxels > 0


def region_of_kind(kind: str) -> str:
    """The region that a kind of lesion lies in. InputError for a kind that nothing is known of."""
    if kind not in KINDS:
        raise InputError(
            f"Nothing is known of where lesions of the kind {kind!r} lie: name the region of every case, as "
            "NAME:REGION or in a list of cases."
        )
    return KINDS[kind][0]


def organ_numbers(kind: str) -> tuple[int, ...]:
    """The classes of the organ that a kind of lesion lies in; a kind that is not known may be called as its organ.
    InputError if there is no organ to place an ellipsoid in.
    """
    try:
        return label_numbers(KINDS.get(kind, ("", kind))[1] or "")
    except InputError:
        raise InputError(
            f"Lesions of the kind {kind!r} have no organ that an ellipsoid could be placed in: give --diameters none "
            "and cases with real masks."
        ) from None


def real_lesions(folder: Path, named: Mapping[str, str]) -> list[RealLesion]:
    """The volumes {NAME: region} of a folder with NAME_seg.nii.gz and labels.json. InputError if one names no
    lesion.
    """
    found = []
    for name, region in named.items():
        file = find_volume(folder, name)
        mask = file.with_name(f"{name}_seg.nii.gz")
        found.append(_that_can_be_read(RealLesion(name, file, region, mask, lesion_numbers(file))))
    return found


def listed_lesions(cases: Sequence[ListedCase]) -> list[RealLesion]:
    """The lesions of a list of cases. InputError if a mask holds none."""
    found = []
    for case in cases:
        numbers = read_label_numbers(case.words.get("lesion_labels", ""), f"line {case.line}: lesion_labels")
        files = case.files
        lesion = RealLesion(case.name, files["ct"], case.region, files["lesion"], numbers, case.anatomy)
        found.append(_that_can_be_read(lesion))
    return found


def _that_can_be_read(lesion: RealLesion) -> RealLesion:
    """The lesion, read once and let go, so that what cannot be measured is refused before any work."""
    lesion.read()
    return lesion


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
    """The place of a new lesion: a mask (0 and 1) on the pair's grid. is_real: the CT has a real lesion there.
    anatomy: the model's condition, as for the tasks.
    """

    name: str
    pair: LabeledCt
    mask: Volume
    is_real: bool = False
    anatomy: Volume | str = "auto"

    @property
    def lesion(self) -> np.ndarray:
        return self.mask.voxels > 0

    @property
    def case(self) -> str:
        """What another method's image of it is called: as the CT of a real lesion, or as the new place."""
        return self.name.removesuffix(OWN) if self.is_real else self.name


def places(pair: LabeledCt, kind: str, diameters_mm: Sequence[float], seed: int) -> Iterator[LesionPlace]:
    """An ellipsoid of each diameter at a random place in the organ of a kind of lesion. One that does not fit, or whose
    organ is not there, is left out. What is dense in a lung (a lesion, a vessel) is no place.
    """
    if not diameters_mm:
        return
    free = np.isin(pair.labels.voxels, organ_numbers(kind))
    if kind == "lung":  # thresholds close a lung's holes: a large one may be a lesion already
        dense = ndimage.binary_opening(free & (pair.ct.voxels > -400), iterations=2)
        free &= ~ndimage.binary_dilation(dense, iterations=3)
    where = replace(pair.labels, voxels=free.astype(np.uint8))
    for number, diameter in enumerate(diameters_mm):
        try:
            mask = place_lesion(where, (1,), diameter, seed + number)
        except InputError as error:
            log.warning("Warning: %s, %g mm, is left out. %s", pair.name, diameter, error)
            continue
        yield LesionPlace(f"{pair.name}_{diameter:g}mm", pair, mask)


def own_place(lesion: RealLesion, pair: LabeledCt) -> Iterator[LesionPlace]:
    """The place of a real lesion in its own CT, to draw another one there. It is left out, with a warning, where it is
    cut off by the CT's border, or lies outside of what thresholds take for the body.
    """
    try:
        ct, drawn = lesion.read()
        mask = resample_labels_to(ct.with_voxels(drawn.astype(np.uint8)), pair.ct)
        check_place(lesion_voxels(mask, pair.ct), pair.body, lesion.name)
    except InputError as error:
        log.warning("Warning: the mask of %s is left out. %s", lesion.name, error)
        return
    yield LesionPlace(f"{lesion.name}{OWN}", pair, mask, is_real=True)


def read_diameters(text: str) -> list[float]:
    """The diameters in a text such as "12,20,30", in mm; none for "none". InputError unless each is 5 to 100 mm."""
    if text.strip() == "none":
        return []
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(5 <= mm <= 100 for mm in found):
        raise InputError(f"--diameters cannot be {text!r}: write millimeters from 5 to 100, as 12,20,30, or none.")
    return found
