"""Lesion masks: their checks, how a new lesion fades into its surroundings, and where one may be placed.

Masks are bool (z, y, x); spacing is (z, y, x) in mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ..errors import InputError
from ..volumes.volume import Volume

LARGEST_ML = 1000.0  # a ball of 12 cm; more is an organ's mask, or a mistake
LARGEST_SHARE_OF_BODY = 0.3
LEAST_IN_BODY = 0.9
ROUNDNESS = (0.7, 1.0)  # of a placed lesion: its shorter axes over the longest


def lesion_voxels(mask: Volume, like: Volume, name: str = "CT") -> np.ndarray:
    """The lesion's voxels, bool, shape of like.voxels: whatever is greater than 0 in the mask.

    InputError unless the mask is on the grid of `like` (the `name`), not empty, not too large, and surrounded by it.
    """
    source = mask.source or "The lesion mask"
    if not mask.same_grid(like):
        raise InputError(f"{source} is not on the {name}'s grid: read it with read_labels(path, like={name}).")
    lesion = mask.voxels > 0
    if not lesion.any():
        raise InputError(f"{source} is empty, there is no lesion to draw: mark its voxels with 1.")
    milliliters = volume_ml(lesion, like.spacing)
    if milliliters > LARGEST_ML:
        raise InputError(
            f"{source} marks {milliliters:.0f} ml, more than {LARGEST_ML:.0f} ml is not a lesion: "
            "give the lesion's mask, not an organ's."
        )
    if any(lesion.take(end, axis).any() for axis in range(3) for end in (0, -1)):
        raise InputError(
            f"{source} touches the border of the {name}, where nothing surrounds the lesion: move or shrink it."
        )
    return lesion


def check_place(lesion: np.ndarray, body: np.ndarray, source: str) -> None:
    """Check where a lesion lies: InputError unless it is within the body and a small part of it.

    lesion, body: bool, on the grid that is computed on; source: the mask's file, for the message.
    """
    name = source or "The lesion mask"
    if not lesion.any():
        raise InputError(f"{name} is finer than the grid that the model computes on: mark a larger lesion.")
    fraction = np.mean(body[lesion])
    if fraction < LEAST_IN_BODY:
        where = "wholly" if fraction == 0 else f"by {100 * (1 - fraction):.0f} %"
        raise InputError(f"{name} lies {where} outside the body: move the lesion into the body.")
    if lesion.sum() > LARGEST_SHARE_OF_BODY * body.sum():
        raise InputError(f"{name} fills {100 * lesion.sum() / body.sum():.0f} % of the body: mark a smaller lesion.")


def volume_ml(mask: np.ndarray, spacing: Sequence[float]) -> float:
    """Volume of a mask in milliliters."""
    return float(np.count_nonzero(mask) * np.prod(spacing) / 1000)


def bounding_box(mask: np.ndarray) -> list[tuple[int, int]]:
    """The box of a mask: along z, y and x its first voxel and the one after its last. The mask must not be empty."""
    ends = []
    for axis in range(3):
        where = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        ends.append((int(where[0]), int(where[-1]) + 1))
    return ends


def blend_weights(lesion: np.ndarray, spacing: Sequence[float], blend_mm: float) -> np.ndarray:
    """The weight of the new lesion in each voxel: float32, 0 outside the mask, from its edge up to 1 at a depth of
    `blend_mm`. In a small lesion at half its greatest depth, so that it has a core that is all new.

    Depth is the distance to the nearest voxel outside. The mask must not reach the array's border.
    """
    box = tuple(slice(first - 1, last + 1) for first, last in bounding_box(lesion))
    depth = ndimage.distance_transform_edt(lesion[box], sampling=spacing)
    weights = np.zeros(lesion.shape, np.float32)
    weights[box] = np.clip(depth / max(min(blend_mm, depth.max() / 2), 1e-6), 0, 1)
    return weights


def place_lesion(anatomy: Volume, labels: Sequence[int], diameter_mm: float, seed: int) -> Volume:
    """A lesion mask (0 and 1, uint8) on a label map's grid: `place_ellipsoid` in the voxels of any of `labels`."""
    organ = np.isin(anatomy.voxels, labels)
    mask = place_ellipsoid(organ, anatomy.spacing[::-1], diameter_mm, np.random.default_rng(seed))
    return replace(anatomy, voxels=mask.astype(np.uint8), source="", resampled=False)


def place_ellipsoid(
    organ: np.ndarray, spacing: Sequence[float], diameter_mm: float, generator: np.random.Generator
) -> np.ndarray:
    """A lesion's mask at a random place wholly inside an organ: an ellipsoid in a random direction.

    organ: bool (z, y, x). diameter_mm: the longest axis; the others are 0.7 to 1 times as long. The center is drawn
    evenly from the voxels about which a ball of that diameter fits (and touches no border of the volume), so that the
    ellipsoid does. InputError, with the largest diameter that fits, if there is none.
    """
    if not organ.any():
        raise InputError("There is nothing of the organ in this anatomy: choose another organ.")
    box = tuple(slice(max(first - 1, 0), last + 1) for first, last in bounding_box(organ))
    inside = np.zeros(organ.shape, bool)
    inside[1:-1, 1:-1, 1:-1] = organ[1:-1, 1:-1, 1:-1]
    room = ndimage.distance_transform_edt(inside[box], sampling=spacing)
    radius = diameter_mm / 2
    centers = np.argwhere(room > radius)
    if len(centers) == 0:
        raise InputError(
            f"A lesion of {diameter_mm:g} mm does not fit into the organ: "
            f"the largest that does has {int(2 * room.max() * 10) / 10:g} mm."
        )
    center = centers[generator.integers(len(centers))] + [s.start for s in box]
    axes = radius * np.array([1.0, *generator.uniform(*ROUNDNESS, size=2)])
    return _ellipsoid(organ.shape, spacing, center, axes, Rotation.random(random_state=generator).as_matrix())


def _ellipsoid(
    shape: Sequence[int], spacing: Sequence[float], center: np.ndarray, axes: np.ndarray, rotation: np.ndarray
) -> np.ndarray:
    """The voxels whose centers lie within: |Rᵀ(p − c)/a| ≤ 1, semi-axes a in mm, c in voxels. Bool, `shape`."""
    reach = np.ceil(axes.max() / np.asarray(spacing)).astype(int)
    first, last = np.maximum(center - reach, 0), np.minimum(center + reach + 1, shape)
    box = tuple(slice(f, t) for f, t in zip(first, last, strict=True))
    offsets = [(np.arange(s.start, s.stop) - c) * mm for s, c, mm in zip(box, center, spacing, strict=True)]
    away = np.stack(np.meshgrid(*offsets, indexing="ij"), axis=-1) @ rotation / axes
    mask = np.zeros(shape, bool)
    mask[box] = (away**2).sum(axis=-1) <= 1
    return mask
