"""CT with real lesions that an expert has marked, and with the organ that they lie in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from MedDiffFMLib.anatomy.classes import BODY, LUNG, label_for_foreign_name, label_numbers
from MedDiffFMLib.anatomy.label_maps.reading import read_anatomy
from MedDiffFMLib.anatomy.tissue import complete_labels
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.checks import check_ct
from MedDiffFMLib.volumes.io import read_labels, read_volume
from MedDiffFMLib.volumes.volume import Volume

from .anomaly_case import AnomalyCase, check_case, tissue, whole_hu
from .box import Box, cut_box
from .case_list import Columns, ListedCase
from .label_text import read_label_numbers
from .volumes import axial_slab, find_volume

DETECTION_LIST = Columns(("ct", "lesion"), ("anatomy",), ("lesion_labels", "organ_labels", "organ"))


@dataclass(frozen=True)
class RealFiles:
    """The files of a CT with a lesion. lesion_labels: of the mask, none for all but 0; organ_labels: those that are the
    organ around it. anatomy: a label map of organs; without it those of the mask itself, if its labels are named.
    """

    name: str
    ct: Path
    mask: Path
    lesion_labels: Sequence[int] = ()
    organ_labels: Sequence[int] = ()
    anatomy: Path | None = None
    named: bool = False


def listed_case(case: ListedCase, organ: str | None, box: Box | None) -> AnomalyCase:
    """A line of a list. organ: in place of the line's own; without either the lungs of a chest, or the body."""
    where = f"line {case.line}: "
    lesion, organ_labels = (
        read_label_numbers(case.words.get(column, ""), where + column) for column in ("lesion_labels", "organ_labels")
    )
    if organ_labels and not lesion:
        raise InputError(f"{where}it names organ_labels and no lesion_labels; name which labels are lesion.")
    if isinstance(case.anatomy, str):
        raise InputError(f"{where}anatomy cannot be {case.anatomy!r} here; name a label map, or leave it empty.")
    files = RealFiles(case.name, case.files["ct"], case.files["lesion"], lesion, organ_labels, case.anatomy)
    organ = organ or case.words.get("organ") or ("lungs" if case.region == "chest" else "body")
    return real_case(files, case.region, organ, box)


def lesion_case(folder: Path, name: str, region: str, organ: str, box: Box | None) -> AnomalyCase:
    """A CT with an expert's mask, NAME_seg.nii.gz: all of its labels that labels.json gives no organ's name are lesion,
    the others are organs.
    """
    file = find_volume(folder, name)
    mask_file = find_volume(folder, f"{name}_seg")
    numbers = _lesion_labels(file.with_name("labels.json"), name)
    return real_case(RealFiles(name, file, mask_file, numbers or (), named=numbers is not None), region, organ, box)


def real_case(files: RealFiles, region: str, organ: str, box: Box | None = None) -> AnomalyCase:
    """A CT with a real lesion. The anatomy is the given organs, and elsewhere what thresholds find (body, lungs, bones,
    gas); the lesion is counted to the organ, as organ masks do. InputError if there is no lesion in the box, or nothing
    of the organ around it.
    """
    ct = read_volume(files.ct)
    check_ct(ct)
    mask = read_labels(files.mask, like=ct)
    drawn = np.isin(mask.voxels, files.lesion_labels) if files.lesion_labels else mask.voxels > 0
    lesion = cut_box(axial_slab(mask.with_voxels(drawn.astype(np.uint8))), box).voxels > 0
    volume = whole_hu(cut_box(axial_slab(ct), box))
    if not lesion.any() or lesion.all():
        raise InputError(f"There is no lesion of {files.name} in this box: name another --box, or none.")
    labels = tissue(volume)
    organs = _organs(files, ct)
    if organs is not None:
        given = cut_box(axial_slab(organs), box).voxels.astype(np.uint8)
        labels = complete_labels(np.where(lesion & (given == BODY), 0, given), labels)
    if files.organ_labels:
        marked = mask.with_voxels(np.isin(mask.voxels, files.organ_labels).astype(np.uint8))
        labels[cut_box(axial_slab(marked), box).voxels > 0] = _number_of(organ, labels)
    labels[lesion] = np.where(labels[lesion] > 0, labels[lesion], np.uint8(BODY))
    if organ != "body":
        labels[lesion] = _number_of(organ, labels)
    return check_case(AnomalyCase(files.name, region, organ, volume, volume.with_voxels(labels), lesion))


def _organs(files: RealFiles, ct: Volume) -> Volume | None:
    """The organs of the label map, or those in the lesion's mask if its labels are named; None if there are none."""
    if files.anatomy is not None:
        return read_anatomy(files.anatomy, like=ct)
    if not files.named:  # the numbers of a mask without names have no meaning
        return None
    try:
        return read_anatomy(files.mask, like=ct)
    except InputError:  # it names lesions alone
        return None


def _number_of(organ: str, labels: np.ndarray) -> int:
    """The class that a lesion of an organ counts to: lungs as thresholds find them, else the organ's class that the
    anatomy has most of.
    """
    if organ == "lungs":
        return LUNG
    numbers = label_numbers(organ)
    return max(numbers, key=lambda number: np.count_nonzero(labels == number))


def _lesion_labels(file: Path, name: str) -> list[int] | None:
    """The labels of a mask whose names are no organ's; None (all of them) if `file` does not name them."""
    try:
        names = json.loads(file.read_text(encoding="utf-8"))[name]
    except (OSError, ValueError, KeyError):
        return None
    return [int(number) for number, label in names.items() if label_for_foreign_name(label) is None]
