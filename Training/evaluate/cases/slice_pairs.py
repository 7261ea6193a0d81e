"""Pairs of thick slices and the thin ones that are the truth: means of a CT's slices, or two reconstructions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.tasks.thin_slices import SliceSplit
from MedDiffFMLib.volumes.checks import check_ct
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume

from ...data.same_scan import check_same_scan
from .box import Box, cut_box
from .case_list import Columns, ListedCase
from .volumes import axial_slab, find_volume, named_cases

THIN = {"chest_lungfcp01": "chest", "chest_ricord1012_thin": "chest"}
THICKNESS_MM = {"chest_lungfcp01": 2.0, "chest_ricord1012_thin": 1.25}  # of the thin slices, as their scans state it
IN_REPOSITORY = {"chest_ts_aorta": "chest"}
SLICE_LIST = Columns(("thick", "thin"), ("anatomy",))


@dataclass(frozen=True)
class SlicePair:
    """A scan in thick slices and the thin ones that are the truth, both axial (z to superior), in HU.

    thin: `factor` slices for each thick one. known: the first of them that the truth holds, and the one after the last
    (None for all); the others are not measured. anatomy: the model's condition, as for the task. thickness: of the
    thick slices in mm, None where they are plain means, or it is not known; thin_thickness: of the thin ones.
    """

    name: str
    region: str
    thick: Volume
    thin: np.ndarray
    factor: int
    known: tuple[int, int] | None = None
    real: bool = False
    anatomy: Volume | str = "auto"
    thickness: float | None = None
    thin_thickness: float | None = None

    @property
    def split(self) -> SliceSplit:
        """The degradation that leads from thin to thick slices."""
        share = None if self.thickness is None else self.thickness / self.thick.spacing[2]
        return SliceSplit(-3, self.factor, share)

    @property
    def thickness_text(self) -> str:
        """The thickness of thick and of thin slices in words."""
        thin = "of unknown thickness" if self.thin_thickness is None else f"{self.thin_thickness:g} mm thick"
        if self.thickness is not None:
            return f"slices {self.thickness:g} mm thick, thin ones {thin}"
        return f"slices of unknown thickness, thin ones {thin}" if self.real else f"plain means of slices {thin}"

    @property
    def grid(self) -> Volume:
        """The grid of the thin slices, with the truth as its voxels."""
        upwards = np.reshape(self.thick.direction, (3, 3))[:, 2]
        distance = self.thick.spacing[2] / self.factor
        origin = np.asarray(self.thick.origin) - upwards * distance * (self.factor - 1) / 2
        spacing = (*self.thick.spacing[:2], distance)
        return replace(self.thick, voxels=self.thin, spacing=spacing, origin=tuple(origin.tolist()), grid_record=b"")


def thick_slices(ct: Volume, factor: int, thickness: float | None = None) -> Volume:
    """An axial CT in thick slices, int16, `factor` of its own apart; slices that remain are left out. thickness: in mm,
    for means by the profile of such slices; None for plain means.
    """
    count = ct.voxels.shape[0] // factor
    split = SliceSplit(-3, factor, None if thickness is None else thickness / (factor * ct.spacing[2]))
    means = split.means(torch.from_numpy(ct.voxels[: count * factor].astype(np.float32))).numpy()
    upwards = np.reshape(ct.direction, (3, 3))[:, 2]
    origin = np.asarray(ct.origin) + upwards * ct.spacing[2] * (factor - 1) / 2
    spacing = (*ct.spacing[:2], ct.spacing[2] * factor)
    return replace(ct, voxels=np.rint(means).astype(np.int16), spacing=spacing, origin=tuple(origin.tolist()))


def simulated_pair(name: str, region: str, thin: Volume, factor: int, thickness: float | None = None) -> SlicePair:
    """A pair of an axial CT and its means (see `thick_slices`). InputError if it has not two blocks of slices."""
    if thin.voxels.shape[0] < 2 * factor:
        raise InputError(
            f"{name} has {thin.voxels.shape[0]} slices, too few for two thick ones: name a smaller --factor."
        )
    thick = thick_slices(thin, factor, thickness)
    truth = thin.voxels[: len(thick.voxels) * factor]
    own = thin.slice_thickness or THICKNESS_MM.get(name)
    return SlicePair(name, region, thick, truth, factor, thickness=thickness, thin_thickness=own)


def thin_volumes(data: Path | None, names: str | None) -> list[ListedCase]:
    """The named volumes of a folder (`cases.named_cases`) as cases with thin slices alone; a test and a validation
    chest if none is named, the repository's without a folder. InputError if a volume is missing.
    """
    regions = named_cases(names, THIN if data else IN_REPOSITORY)
    return [ListedCase(name, region, {"thin": find_volume(data, name)}) for name, region in regions.items()]


def load_slice_pair(case: ListedCase, factor: int, box: Box | None = None, thickness: float | None = None) -> SlicePair:
    """The real pair of a case, or a simulated one of its thin slices, in the box of these. thickness: of the thick
    slices in mm; None for what a real pair's files state, and for plain means of thin slices.
    """
    if "thick" in case.files:
        pair = read_pair(case.files["thick"], case.files["thin"], case.region, case.name)
        return replace(pair, thickness=thickness or pair.thickness)
    thin = cut_box(axial_slab(_read(case.files["thin"])), box)
    return simulated_pair(case.name, case.region, thin, factor, thickness)


def read_pair(thick: Path, thin: Path, region: str, name: str | None = None) -> SlicePair:
    """`real_pair` of two files; name: of the case, None for the thick file's."""
    pair = real_pair(axial_slab(_read(thick)), axial_slab(_read(thin)), region)
    return replace(pair, name=name or pair.name)


def _read(file: Path) -> Volume:
    volume = read_volume(file)
    check_ct(volume)
    return volume


def real_pair(thick: Volume, thin: Volume, region: str) -> SlicePair:
    """A pair of two reconstructions of one scan, both axial. The factor is the ratio of their slice distances.

    InputError unless they share the pixel grid, the ratio is whole, the thin slices lie where thick ones split, and the
    two show the same.
    """
    name = Path(thick.source or "thick").name.removesuffix(".nii.gz")
    ratio = thick.spacing[2] / thin.spacing[2]
    factor = round(ratio)
    shift = (np.array(thick.origin) - thin.origin) @ np.reshape(thin.direction, (3, 3))
    in_plane = thick.voxels.shape[1:] == thin.voxels.shape[1:] and np.allclose(
        thick.spacing[:2], thin.spacing[:2], 1e-3
    )
    if not in_plane or np.abs(shift[:2]).max() > 0.1 * min(thin.spacing[:2]):
        raise InputError(f"{name} and its thin slices have other pixels: give two reconstructions on one pixel grid.")
    first = shift[2] / thin.spacing[2] - (factor - 1) / 2  # thin slice that the first new one is
    if factor < 2 or abs(ratio - factor) > 0.02 or abs(first - round(first)) > 0.1:
        raise InputError(
            f"The slices of {name} are {thick.spacing[2]:g} mm apart, the thin ones {thin.spacing[2]:g} mm, and do not "
            "split into them: give thin slices whose distance is a whole part and whose places fit."
        )
    first, count = round(first), thick.voxels.shape[0] * factor
    start, stop = max(0, -first), min(count, thin.voxels.shape[0] - first)
    if stop <= start:
        raise InputError(f"{name} and its thin slices do not overlap: give two reconstructions of one scan.")
    truth = np.zeros((count, *thin.voxels.shape[1:]), thin.voxels.dtype)
    truth[start:stop] = thin.voxels[start + first : stop + first]
    blocks = slice(-(-start // factor), stop // factor)
    means = truth.reshape(-1, factor, *truth.shape[1:])[blocks].mean(axis=1)
    if len(means):
        check_same_scan(thick.voxels[blocks], means, f"{name} and the means of its thin slices")
    known = {"thickness": thick.slice_thickness, "thin_thickness": thin.slice_thickness}
    return SlicePair(name, region, thick, truth, factor, (start, stop), real=True, **known)
