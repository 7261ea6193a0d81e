"""Label maps and masks: whole numbers on a CT's grid."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from .errors import InputError
from .volume import Volume
from .volume_reading import read_volume


def read_labels(path: str | os.PathLike, like: Volume | None = None) -> Volume:
    """A label map: uint8 or uint16 voxels (z, y, x), 0 is background.

    With `like` it comes back on that volume's grid: as it is if the grids agree, else by nearest neighbour, which
    `resampled` then tells. InputError if values are no labels or if the labels lie outside of `like`.
    """
    labels = as_labels(read_volume(path))
    return labels if like is None else onto_grid(labels, like)


def as_labels(volume: Volume) -> Volume:
    """A volume as a label map of uint8 or uint16. InputError if its values are no labels."""
    low, high = volume.voxels.min(), volume.voxels.max()
    whole = np.issubdtype(volume.voxels.dtype, np.integer) or np.array_equal(volume.voxels, np.rint(volume.voxels))
    if not whole or low < 0 or high > 65535:
        raise InputError(
            f"{volume.source} is not a label map (values {low:g} to {high:g}); give whole numbers, 0 for background."
        )
    return volume.with_voxels(volume.voxels.astype(np.uint8 if high < 256 else np.uint16))


def onto_grid(labels: Volume, like: Volume) -> Volume:
    """A label map on the grid of `like`: as it is if the grids agree, else by nearest neighbour (`resampled`).

    InputError if the labels lie outside of `like`.
    """
    if labels.same_grid(like):
        return replace(like, voxels=labels.voxels, source=labels.source, resampled=False, warnings=labels.warnings)
    target = sitk.Image(like.voxels.shape[::-1], sitk.sitkUInt8)
    target.SetSpacing(like.spacing)
    target.SetOrigin(like.origin)
    target.SetDirection(like.direction)
    # one more than the label, so that 0 means outside of the label map
    shifted = labels.with_voxels(labels.voxels.astype(np.int32) + 1).to_sitk()
    voxels = sitk.GetArrayFromImage(sitk.Resample(shifted, target, sitk.Transform(), sitk.sitkNearestNeighbor, 0))
    if not voxels.any() or (labels.voxels.any() and voxels.max() == 1):
        other = like.source or "the CT"
        raise InputError(f"The labels of {labels.source} lie outside of {other}; give the label map made for this CT.")
    voxels = np.maximum(voxels - 1, 0).astype(labels.voxels.dtype)
    return replace(like, voxels=voxels, source=labels.source, resampled=True, warnings=labels.warnings)
