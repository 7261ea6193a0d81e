"""CT with lesions whose place is known: real ones with an expert's mask, and anomalies planted into healthy organs.

A planted anomaly is an ellipsoid of a known longest axis at a random place wholly inside the organ. The voxels' own HU,
with their noise and texture, are raised or lowered by a known number of HU, which fades in over the first millimeters
from its surface; then rounded to whole HU. It is far from a tumor, but the truth is certain, and it can be planted into
CT without a mask of a lesion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from MedDiffFMLib.anatomy.classes import BODY, label_numbers
from MedDiffFMLib.anatomy.label_maps.reading import read_anatomy
from MedDiffFMLib.anatomy.lesion_masks import blend_weights, place_lesion
from MedDiffFMLib.anatomy.tissue import complete_labels
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.checks import check_ct
from MedDiffFMLib.volumes.io import read_volume

from .anomaly_case import AnomalyCase, Planting, check_case, tissue, whole_hu
from .box import Box, cut_box
from .real_anomalies import lesion_case
from .volumes import axial_slab, find_volume, named_cases

# Region and organ of the volumes with an expert's lesion mask
LESIONS = {
    "sarcoma_sts015": ("abdomen", "body"),
    "sarcoma_sts018": ("abdomen", "body"),
    "sarcoma_sts036": ("abdomen", "body"),
    "sarcoma_sts040": ("abdomen", "body"),
    "chest_nsclc001": ("chest", "lungs"),
    "chest_lungpat1": ("chest", "lungs"),
    "chest_lungpat2": ("chest", "lungs"),
    "chest_lidc0314": ("chest", "lungs"),
    "chest_lidc0314_thin": ("chest", "lungs"),
}
# Region and organ of the volumes that an anomaly is planted into where nothing is asked for
TO_PLANT_IN = {
    "chest_lungfcp01": ("chest", "lungs"),
    "abd_crlm1004": ("abdomen", "body"),
    "abd_ts_example": ("abdomen", "liver"),
    "chest_ts_aorta": ("chest", "lungs"),
}
BY_DEFAULT = (("sarcoma_sts015",), ("chest_lungfcp01", "abd_crlm1004"))  # lesions and plantings of a data folder
IN_REPOSITORY = ((), ("abd_ts_example", "chest_ts_aorta"))


@dataclass(frozen=True)
class CaseSelection:
    """A selection of cases. lesions, plantings: names as of `cases.named_cases`; with neither, those of `BY_DEFAULT`.
    organ: in all cases, None for each one's own. diameter_mm, offset_hu: None for 30 mm and −60 HU, in lungs 20 mm and
    +300 HU.
    """

    data: Path | None = None
    lesions: str | None = None
    plantings: str | None = None
    organ: str | None = None
    box: Box | None = None
    diameter_mm: float | None = None
    offset_hu: float | None = None
    blend_mm: float = 2.0
    place: int = 0

    def planting(self, organ: str) -> Planting:
        diameter, offset = (20.0, 300.0) if organ == "lungs" else (30.0, -60.0)
        diameter = diameter if self.diameter_mm is None else self.diameter_mm
        offset = offset if self.offset_hu is None else self.offset_hu
        return Planting(diameter, offset, self.blend_mm, self.place)


def find_cases(selection: CaseSelection) -> Iterator[AnomalyCase]:
    """The cases, one by one. InputError at once for an unknown name, region or organ, or a file that is not there."""
    folder, known, jobs = selection.data, {**LESIONS, **TO_PLANT_IN}, []
    for name, region, make in _chosen(selection):
        organ = selection.organ or known.get(name, (region, "lungs" if region == "chest" else "body"))[1]
        label_numbers(organ)
        find_volume(folder, name)
        further = {"planting": selection.planting(organ)} if make is planted_case else {}
        jobs.append(partial(make, folder, name, region, organ, selection.box, **further))
    return (job() for job in jobs)


def case_names(selection: CaseSelection) -> list[str]:
    """The names of the cases, in the order of `find_cases`."""
    return [name for name, _, _ in _chosen(selection)]


def _chosen(selection: CaseSelection) -> list[tuple[str, str, Callable]]:
    """(name, region, what makes it) of each case."""
    drawn, planted = selection.lesions, selection.plantings
    if not drawn and not planted:
        drawn, planted = (",".join(names) for names in (BY_DEFAULT if selection.data else IN_REPOSITORY))
    regions = {name: region for name, (region, _) in {**LESIONS, **TO_PLANT_IN}.items()}
    both = ((drawn, lesion_case), (planted, planted_case))
    return [(name, where, make) for text, make in both for name, where in named_cases(text, {}, regions).items()]


def planted_case(
    folder: Path,
    name: str,
    region: str,
    organ: str,
    box: Box | None,
    planting: Planting,
) -> AnomalyCase:
    """A CT with an anomaly planted into an organ. Its anatomy, of the unchanged CT, is NAME_seg.nii.gz if that holds
    organs, and what thresholds find. InputError if the organ is not there or too small.
    """
    file = find_volume(folder, name)
    ct = read_volume(file)
    check_ct(ct)
    volume = whole_hu(cut_box(axial_slab(ct), box))
    labels = tissue(volume)
    organs = file.with_name(file.name.replace(".nii.gz", "_seg.nii.gz"))
    if organs.is_file() and name not in LESIONS:
        given = cut_box(axial_slab(read_anatomy(organs, like=ct)), box)
        labels = complete_labels(given.voxels.astype(np.uint8), labels)
    anatomy = volume.with_voxels(labels)
    where = (BODY,) if organ == "body" else label_numbers(organ)  # in soft tissue, not half in bone
    if not np.isin(labels, where).any():
        raise InputError(f"There is no {organ} in the anatomy of {name}: name another --organ or case.")
    lesion = place_lesion(anatomy, where, planting.diameter_mm, planting.seed).voxels > 0
    changed = volume.voxels + planting.offset_hu * blend_weights(lesion, volume.spacing[::-1], planting.blend_mm)
    volume = volume.with_voxels(np.rint(changed).astype(np.int16))
    return check_case(AnomalyCase(name, region, organ, volume, anatomy, lesion, planting))
