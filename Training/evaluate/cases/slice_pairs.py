"""Pairs of thick slices and the thin ones that are the truth: block means of a CT, or two reconstructions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.checks import check_ct
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume

from ...data.same_scan import check_same_scan
from .box import Box, cut_box
from .case_list import Columns, ListedCase
from .volumes import axial_slab, find_volume, named_cases

THIN = {"chest_lungfcp01": "chest", "chest_ricord1012_thin": "chest"}
IN_REPOSITORY = {"chest_ts_aorta": "chest"}
SLICE_LIST = Columns(("thick", "thin"), ("anatomy",))


@dataclass(frozen=True)
class SlicePair:
    """A scan in thick slices and the thin ones that are the truth, both axial (z to superior), in HU.

    thin: `factor` slices for each thick one. known: the first of them that the truth holds, and the one after the last
    (None for all); the others are not measured. anatomy: the model's condition, as for the task.
    """

    name: str
    region: str
    thick: Volume
    thin: np.ndarray
    factor: int
    known: tuple[int, int] | None = None
    real: bool = False
    anatomy: Volume | str = "auto"

    @property
    def grid(self) -> Volume:
        """The grid of the thin slices, with the truth as its voxels."""
        upwards = np.reshape(self.thick.direction, (3, 3))[:, 2]
        distance = self.thick.spacing[2] / self.factor
        origin = np.asarray(self.thick.origin) - upwards * distance * (self.factor - 1) / 2
        spacing = (*self.thick.spacing[:2], distance)
        return replace(self.thick, voxels=self.thin, spacing=spacing, origin=tuple(origin.tolist()), grid_record=b"")


def thick_slices(ct: Volume, factor: int) -> Volume:
    """An axial CT with `factor` slices averaged into one, int16; slices that remain are left out."""
    count = ct.voxels.shape[0] // factor
    means = ct.voxels[: count * factor].reshape(count, factor, *ct.voxels.shape[1:]).mean(axis=1)
    upwards = np.reshape(ct.direction, (3, 3))[:, 2]
    origin = np.asarray(ct.origin) + upwards * ct.spacing[2] * (factor - 1) / 2
    spacing = (*ct.spacing[:2], ct.spacing[2] * factor)
    return replace(ct, voxels=np.rint(means).astype(np.int16), spacing=spacing, origin=tuple(origin.tolist()))


def simulated_pair(name: str, region: str, thin: Volume, factor: int) -> SlicePair:
    """A pair of an axial CT and its block means. InputError if it has not two blocks of slices."""
    if thin.voxels.shape[0] < 2 * factor:
        raise InputError(
            f"{name} has {thin.voxels.shape[0]} slices, too few for two thick ones: name a smaller --factor."
        )
    thick = thick_slices(thin, factor)
    return SlicePair(name, region, thick, thin.voxels[: len(thick.voxels) * factor], factor)


def thin_volumes(data: Path | None, names: str | None) -> list[ListedCase]:
    """The named volumes of a folder (`cases.named_cases`) as cases with thin slices alone; a test and a validation
    chest if none is named, the repository's without a folder. InputError if a volume is missing.
    """
    regions = named_cases(names, THIN if data else IN_REPOSITORY)
    return [ListedCase(name, region, {"thin": find_volume(data, name)}) for name, region in regions.items()]


def load_slice_pair(case: ListedCase, factor: int, box: Box | None = None) -> SlicePair:
    """The real pair of a case, or a simulated one of its thin slices, in the box of these."""
    if "thick" in case.files:
        return read_pair(case.files["thick"], case.files["thin"], case.region, case.name)
    return simulated_pair(case.name, case.region, cut_box(axial_slab(_read(case.files["thin"])), box), factor)


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
    return SlicePair(name, region, thick, truth, factor, (start, stop), real=True)
