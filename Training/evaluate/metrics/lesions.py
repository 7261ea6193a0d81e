"""Measurements of a lesion in a CT, real or drawn, without a segmentation network.

CT and masks are (z, y, x), spacing is (z, y, x) in mm, HU as in the scan.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .anatomy import dice

AROUND_MM = 6.0  # of a lesion's surroundings that it is compared with
CORE_MM = 2.0  # of a lesion's edge that is left out of its core


def measure_lesion(hu: np.ndarray, lesion: np.ndarray, spacing: tuple[float, float, float]) -> dict:
    """Volume, HU inside (mean, deviation, of the core without the outer 2 mm too), the rim, and the half-way Dice."""
    inside = hu[lesion].astype(np.float64)
    depth = ndimage.distance_transform_edt(lesion, sampling=spacing)
    core = hu[depth > min(CORE_MM, depth.max() / 2)].astype(np.float64)
    return {
        "ml": float(lesion.sum() * np.prod(spacing) / 1000),
        "hu_mean": float(inside.mean()),
        "hu_sd": float(inside.std()),
        "core_mean": float(core.mean()),
        "core_sd": float(core.std()),
        "rim": rim_gradient(hu, lesion, spacing),
        "halfway_dice": halfway_dice(hu, lesion, spacing),
    }


def rim_gradient(hu: np.ndarray, lesion: np.ndarray, spacing: tuple[float, float, float]) -> float:
    """Mean |difference| in HU/mm of neighboring voxels of a slice of which one is lesion and one is not.

    Within slices alone: their spacing is much the same in all scans, that of slices is not.
    """
    steps, total = 0, 0.0
    for axis in (1, 2):
        across = np.diff(lesion.astype(np.int8), axis=axis) != 0
        steps += int(across.sum())
        total += float(np.abs(np.diff(hu.astype(np.float64), axis=axis))[across].sum()) / spacing[axis]
    return total / steps


def halfway_dice(hu: np.ndarray, lesion: np.ndarray, spacing: tuple[float, float, float]) -> float:
    """Dice of the mask with what a threshold half-way between the lesion's and its surroundings' median HU finds, up to
    6 mm around the mask: how well the lesion that can be seen has the mask's shape. Low where it touches tissue of its
    own HU, as real lesions do.
    """
    box = _box(lesion, spacing)
    hu, lesion = ndimage.uniform_filter(hu[box].astype(np.float32), size=(1, 3, 3)), lesion[box]
    near = ndimage.distance_transform_edt(~lesion, sampling=spacing) <= AROUND_MM
    inner, outer = np.median(hu[lesion]), np.median(hu[near & ~lesion])
    half = (inner + outer) / 2
    return dice(near & ((hu > half) if inner > outer else (hu < half)), lesion) or 0.0


def measure_change(hu: np.ndarray, before: np.ndarray, lesion: np.ndarray) -> dict:
    """Measurements of the change by drawing: changed voxels outside the mask (must be 0), and the Dice of the mask with
    where |change| is more than half of its median inside.
    """
    change = np.abs(hu.astype(np.float64) - before)
    return {
        "changed_outside": int(np.count_nonzero(change[~lesion])),
        "mean_change": float(change[lesion].mean()),
        "change_dice": dice(change > np.median(change[lesion]) / 2, lesion) if change[lesion].any() else 0.0,
    }


def _box(lesion: np.ndarray, spacing: tuple[float, float, float]) -> tuple[slice, ...]:
    """The lesion's bounding box and what is measured around it."""
    found = ndimage.find_objects(lesion.astype(np.uint8))[0]
    reach = [int(np.ceil(AROUND_MM / s)) + 1 for s in spacing]
    return tuple(slice(max(s.start - r, 0), s.stop + r) for s, r in zip(found, reach, strict=True))
