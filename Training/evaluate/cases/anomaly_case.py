"""A CT with a lesion whose place is known, and the organ that it lies in: what detection is measured on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MedDiffFMLib.anatomy.classes import label_numbers
from MedDiffFMLib.anatomy.tissue import BodyImage, find_tissue
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.volume import Volume


@dataclass(frozen=True)
class Planting:
    """An anomaly to plant: longest axis in mm, HU added, depth in mm over which it fades in, and the place's seed."""

    diameter_mm: float = 30.0
    offset_hu: float = -60.0
    blend_mm: float = 2.0
    seed: int = 0


@dataclass(frozen=True)
class AnomalyCase:
    """An axial CT (z to superior), int16 HU. anatomy: label map of the model's classes on its grid, the lesion being
    part of the organ; lesion, counted: bool (Z, Y, X), the lesion and the organ's voxels, which contain it.
    """

    name: str
    region: str
    organ: str
    volume: Volume
    anatomy: Volume
    lesion: np.ndarray
    planted: Planting | None = None

    @property
    def counted(self) -> np.ndarray:
        return np.isin(self.anatomy.voxels, label_numbers(self.organ))

    @property
    def inputs(self) -> dict[str, Volume]:
        """What a method is given: the CT, and the organ to look at (0 and 1)."""
        return {"ct": self.volume, "organ": self.volume.with_voxels(self.counted.astype(np.uint8))}


def whole_hu(volume: Volume) -> Volume:
    """A volume in whole HU, int16."""
    return volume.with_voxels(np.rint(volume.voxels).astype(np.int16))


def tissue(volume: Volume) -> np.ndarray:
    """The tissues that thresholds find in an axial CT: body, lungs, bones, gas."""
    return find_tissue(BodyImage(volume.voxels, volume.spacing[::-1]))


def check_case(case: AnomalyCase) -> AnomalyCase:
    """The case itself, once it can be measured. InputError if there is nothing of the organ but the lesion."""
    if not (case.counted & ~case.lesion).any():
        raise InputError(f"There is no {case.organ} around the lesion of {case.name}: name another --organ.")
    return case
