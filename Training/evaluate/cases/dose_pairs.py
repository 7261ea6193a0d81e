"""Real pairs of low and full dose, as of Mayo 2016: two volumes of one scan on one grid."""

from __future__ import annotations

from MedDiffFMLib.anatomy.tissue import body_mask
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.checks import check_ct
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.noise_level import estimate_noise

from ...data.same_scan import check_doses, check_same_scan
from .anatomy_condition import AnatomyCondition
from .case_list import Columns, ListedCase
from .volumes import LowDoseCase, axial_slab

DOSE_LIST = Columns(("low", "full"), ("anatomy",))


def read_dose_pair(
    line: ListedCase, condition: AnatomyCondition, slices: int | None = None, sigma_hu: float | None = None
) -> LowDoseCase:
    """The pair of a line, of it the central `slices` (None for all). sigma_hu: the noise that methods are given, None
    to measure it in the low dose. InputError if the two are not on one grid, do not show the same or were swapped, or
    the noise cannot be measured.
    """
    low, full = (read_volume(line.files[dose]) for dose in ("low", "full"))
    for volume in (low, full):
        check_ct(volume)
    if not low.same_grid(full):
        raise InputError(
            f"{low.source} and {full.source} are not on one grid: give the two reconstructions of one scan that differ "
            "in dose alone."
        )
    low, full = (axial_slab(volume, slices) for volume in (low, full))
    names = f"{low.source} and {full.source}"
    check_same_scan(low.voxels, full.voxels, names)
    noise = [estimate_noise(dose.voxels, body_mask(dose.voxels), dose.spacing[::-1]) for dose in (low, full)]
    check_doses(*noise, names)
    sigma_hu = sigma_hu or noise[0]
    if sigma_hu is None:
        raise InputError(f"The noise of {line.name} cannot be measured, there is too little tissue: give --sigma HU.")
    return LowDoseCase(line.name, line.region, full, low, sigma_hu, condition.of(line.name, low, line.anatomy))
