"""Label maps and masks: whole numbers on a CT's grid."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .reading import read_volume
from .volume import Volume

_SAMPLE = 200_000  # voxels


def read_labels(path: str | os.PathLike, like: Volume | None = None) -> Volume:
    """A label map: uint8 or uint16 voxels (z, y, x), 0 is background.

    With `like` it comes back on that volume's grid: as it is if the grids agree, else by nearest neighbor and with
    `resampled` set. InputError if values are no labels or if the labels lie outside of `like`.
    """
    labels = as_labels(read_volume(path))
    return labels if like is None else resample_labels_to(labels, like)


def as_labels(volume: Volume) -> Volume:
    """A volume as a label map of uint8 or uint16. InputError if its values are no labels."""
    name, voxels = volume.source or "The mask", volume.voxels
    if missing := int(np.count_nonzero(np.isnan(voxels))):
        raise InputError(f"{name} has {missing} voxels that are NaN; give whole numbers, 0 for background.")
    low, high = voxels.min(), voxels.max()
    whole = np.issubdtype(voxels.dtype, np.integer) or np.array_equal(voxels, np.rint(voxels))
    if not whole and low >= 0 and high <= 1:
        raise InputError(
            f"{name} holds probabilities, no labels; cut it at a threshold first, 1 from 0.5 on and else 0."
        )
    if not whole or low < 0 or high > 65535:
        raise InputError(
            f"{name} is not a label map (values {low:g} to {high:g}); give whole numbers, 0 for background."
        )
    return volume.with_voxels(voxels.astype(np.uint8 if high < 256 else np.uint16))


def resample_labels_to(labels: Volume, like: Volume) -> Volume:
    """A label map on the grid of `like`: as it is if the grids agree, else by nearest neighbor (`resampled`), with a
    warning that gives its volume before and after (with names of files, no paths: it goes into the provenance).

    InputError if it lost its place (as many voxels as `like`, elsewhere), lies outside of `like` or between its voxels.
    """
    if labels.same_grid(like):
        return replace(like, voxels=labels.voxels, source=labels.source, resampled=False, warnings=labels.warnings)
    reordered = sorted(labels.voxels.shape) == sorted(like.voxels.shape)
    if reordered and not labels.same_box(like):
        raise InputError(_lost_header_message(labels, like))
    target = sitk.Image(like.voxels.shape[::-1], sitk.sitkUInt8)
    target.SetSpacing(like.spacing)
    target.SetOrigin(like.origin)
    target.SetDirection(like.direction)
    # one more than the label, so that 0 means outside of the label map
    shifted = labels.with_voxels(labels.voxels.astype(np.int32) + 1).to_sitk()
    voxels = sitk.GetArrayFromImage(sitk.Resample(shifted, target, sitk.Transform(), sitk.sitkNearestNeighbor, 0))
    inside = _share_inside(labels, like)
    if not voxels.any() or (labels.voxels.any() and voxels.max() == 1):
        raise InputError(_nothing_left_message(labels, like, inside))
    voxels = np.maximum(voxels - 1, 0).astype(labels.voxels.dtype)
    result = replace(like, voxels=voxels, source=labels.source, resampled=True, warnings=labels.warnings)
    if reordered or not labels.voxels.any():  # nothing is lost
        return result
    lost = f", {100 * (1 - inside):.0f} % of it lie outside" if inside < 0.995 else ""
    mask, ct = Path(_name(labels)).name, Path(like.source).name or "the CT"
    return result.with_warning(
        f"{mask} has another grid than {ct} and was brought onto it by nearest neighbor: "
        f"{_ml(labels):.3g} ml became {_ml(result):.3g} ml{lost}."
    )


def _lost_header_message(labels: Volume, like: Volume) -> str:
    """The message about a mask whose voxels fit and whose header does not."""
    apart = np.linalg.norm(np.subtract(labels.origin, like.origin))
    spacing, other = (" × ".join(f"{mm:.3g}" for mm in volume.spacing) for volume in (labels, like))
    return (
        f"{_name(labels)} has as many voxels as {like.source or 'the CT'} but lies elsewhere (spacing {spacing} mm "
        f"instead of {other} mm, first voxel {apart:.1f} mm away): its header was lost or changed; save it with the "
        "CT's header, or resample it onto the CT if it was made for another."
    )


def _nothing_left_message(labels: Volume, like: Volume, inside: float) -> str:
    """The message about a label map of which no label is left. inside: the share of its labels that lies in `like`."""
    other = like.source or "the CT"
    if inside == 0:
        return f"The labels of {_name(labels)} lie outside of {other}; give the label map made for this CT."
    spacing = max(like.spacing)
    return (
        f"No slice of {other} passes through what {_name(labels)} marks ({_ml(labels):.2g} ml; the CT's slices are "
        f"{spacing:.3g} mm apart); mark a larger part, or give a CT with thinner slices."
    )


def _share_inside(labels: Volume, like: Volume) -> float:
    """The fraction of labeled voxels in the box of `like`, edge to edge: 0 to 1; 0 without labels."""
    marked = np.flatnonzero(labels.voxels)
    marked = marked[:: max(1, marked.size // _SAMPLE)]
    index = np.array(np.unravel_index(marked, labels.voxels.shape))[::-1].T
    place = labels.origin + (index * labels.spacing) @ np.reshape(labels.direction, (3, 3)).T
    there = (place - like.origin) @ np.linalg.inv(np.reshape(like.direction, (3, 3))).T / like.spacing
    within = ((there > -0.5) & (there < np.array(like.voxels.shape[::-1]) - 0.5)).all(axis=1)
    return float(within.mean()) if within.size else 0.0


def _ml(labels: Volume) -> float:
    """The volume of all labels in ml."""
    return float(np.count_nonzero(labels.voxels) * np.prod(labels.spacing) / 1000)


def _name(labels: Volume) -> str:
    """The name of a label map in messages."""
    return labels.source or "The label map"
