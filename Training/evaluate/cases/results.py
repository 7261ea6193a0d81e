"""Images of other methods for the same cases: a folder for each method, with NAME.nii.gz for each case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.checks import check_ct
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume

from .case_list import ENDINGS
from .synthesis import smooth

LEAST_COVERED = 0.98  # of a case by an image on another grid


def check_results(folders: Sequence[Path], names: Sequence[str]) -> None:
    """InputError, before any work, unless every folder has an image of every case, and no two have one name."""
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder: name the folder of a method's images with --result.")
        for name in names:
            find_result(folder, name)
    twice = {folder.name for folder in folders if [other.name for other in folders].count(folder.name) > 1}
    if twice:
        raise InputError(
            f"Two folders of --result are called {min(twice)}: a method's name is its folder's, rename one."
        )


def find_result(folder: Path, name: str) -> Path:
    """A method's image of a case. InputError if there is none."""
    for ending in ENDINGS:
        if (file := folder / f"{name}{ending}").is_file():
            return file
    raise InputError(f"{folder} has no {name}.nii.gz: call each image as its case, {name}.")


def result_methods(
    folders: Sequence[Path], name: str, like: Volume, in_hu: bool = True
) -> list[tuple[str, Callable[[], np.ndarray]]]:
    """(method, run) of every folder; run() gives the image of a case as `read_result`."""
    return [(folder.resolve().name, lambda folder=folder: read_result(folder, name, like, in_hu)) for folder in folders]


def read_result(folder: Path, name: str, like: Volume, in_hu: bool = True) -> np.ndarray:
    """A method's image of a case, float32, on the grid of `like`, whatever the order of its axes. InputError if it does
    not hold that grid, or (in_hu) is no CT in HU.
    """
    file = find_result(folder, name)
    image = read_volume(file) if in_hu else _read_map(file)
    if in_hu:
        check_ct(image)
    order = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(like.direction)
    turned = sitk.Cast(sitk.DICOMOrient(image.to_sitk(), order), sitk.sitkFloat32)
    return cut_to(Volume.from_sitk(turned, image.source), like).voxels


def _read_map(file: Path) -> Volume:
    """A map in any unit, which may be of a single slice. InputError if it cannot be read, or holds no numbers."""
    try:
        image = Volume.from_sitk(sitk.ReadImage(str(file), sitk.sitkFloat32), str(file))
    except (RuntimeError, ValueError):
        raise InputError(f"{file} cannot be read as a map of three axes: write it again.") from None
    if not np.isfinite(image.voxels).all():
        raise InputError(f"{file} holds values that are not numbers: write it again.")
    return image


def cut_to(volume: Volume, like: Volume) -> Volume:
    """The part of a volume that is on the grid of another one, its axes in the same order. InputError if there is no
    such part.
    """
    direction = np.reshape(like.direction, (3, 3))
    first = (np.array(like.origin) - volume.origin) @ direction / like.spacing
    start = np.rint(first).astype(int)
    stop = start + like.voxels.shape[::-1]
    same = np.allclose(volume.spacing, like.spacing, rtol=1e-3) and np.allclose(
        volume.direction, like.direction, atol=1e-3
    )
    if not same or np.abs(first - start).max() > 0.05 or start.min() < 0 or (stop > volume.voxels.shape[::-1]).any():
        size, spacing = (" × ".join(f"{n:g}" for n in values) for values in (like.voxels.shape[::-1], like.spacing))
        raise InputError(
            f"{volume.source} is not on the grid of its case ({size} voxels of {spacing} mm): give the image on the "
            "grid of the case's CT, without resampling."
        )
    (x, y, z), (right, back, top) = start, stop
    voxels = np.ascontiguousarray(volume.voxels[z:top, y:back, x:right], dtype=np.float32)
    return replace(volume, voxels=voxels, origin=like.origin, grid_record=b"")


def resampled_result(folder: Path, name: str, like: Volume) -> np.ndarray:
    """A method's CT of a case in HU, float32, brought from any grid onto that of `like`: what that could not hold is
    smoothed away, as in the real CT, then linear. InputError if it is no CT in HU, or does not reach as far.
    """
    image = read_volume(find_result(folder, name))
    check_ct(image)
    if max(like.spacing) - min(like.spacing) < 1e-3:
        image = smooth(image.with_voxels(image.voxels.astype(np.float32)), like.spacing[0])
    grid, nearest = like.to_sitk(), sitk.sitkNearestNeighbor
    ones = sitk.GetImageFromArray(np.ones(image.voxels.shape, np.uint8))
    ones.CopyInformation(image.to_sitk())
    covered = sitk.GetArrayFromImage(sitk.Resample(ones, grid, sitk.Transform(), nearest, 0)).mean()
    if covered < LEAST_COVERED:
        raise InputError(
            f"{image.source} shows only {covered:.0%} of its case: give a CT in the coordinates of the case's own."
        )
    resample = sitk.ResampleImageFilter()
    resample.SetReferenceImage(grid)
    resample.SetInterpolator(sitk.sitkLinear)
    resample.SetOutputPixelType(sitk.sitkFloat32)
    resample.UseNearestNeighborExtrapolatorOn()
    return sitk.GetArrayFromImage(resample.Execute(image.to_sitk()))
