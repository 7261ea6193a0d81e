"""Pairs of thick slices and the thin ones that are the truth: block means of a CT, or two reconstructions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.checks import check_ct
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume

from .box import Box, cut_box
from .volumes import axial_slab, find_volume, named_cases

THIN = {"chest_lungfcp01": "chest", "chest_ricord1012_thin": "chest"}
IN_REPOSITORY = {"chest_ts_aorta": "chest"}


@dataclass(frozen=True)
class SlicePair:
    """A scan in thick slices and the thin ones that are the truth, both axial (z to superior), in HU.

    thin: `factor` slices for each thick one. known: the first of them that the truth holds, and the one after the last
    (None for all); the others are not measured.
    """

    name: str
    region: str
    thick: Volume
    thin: np.ndarray
    factor: int
    known: tuple[int, int] | None = None
    real: bool = False


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


def find_pairs(data: Path | None, names: str | None, factor: int, box: Box | None = None) -> Iterator[SlicePair]:
    """Pairs of the named volumes of a folder (`cases.named_cases`), one by one; of a test and a validation chest if
    none is named, of the repository's without a folder. InputError at once if a volume is missing.
    """
    regions = named_cases(names, THIN if data else IN_REPOSITORY)
    files = {name: find_volume(data, name) for name in regions}
    return (
        simulated_pair(name, regions[name], cut_box(axial_slab(_read(file)), box), factor)
        for name, file in files.items()
    )


def read_pair(thick: Path, thin: Path, region: str) -> SlicePair:
    """`real_pair` of two files."""
    return real_pair(axial_slab(_read(thick)), axial_slab(_read(thin)), region)


def _read(file: Path) -> Volume:
    volume = read_volume(file)
    check_ct(volume)
    return volume


def real_pair(thick: Volume, thin: Volume, region: str) -> SlicePair:
    """A pair of two reconstructions of one scan, both axial. The factor is the ratio of their slice distances.

    InputError unless they share the pixel grid, the ratio is whole, and the thin slices lie where thick ones split.
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
    return SlicePair(name, region, thick, truth, factor, (start, stop), real=True)
