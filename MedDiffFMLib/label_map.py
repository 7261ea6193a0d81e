"""What a label map of anatomy tells without its CT: the region of the body, and where the body must be."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from .organs import BODY, BONE, GAS, number_of, numbers_of
from .regions import ABDOMEN, CHEST, HEAD_NECK, Region

LUNGS = numbers_of("lungs")
HEAD_AND_NECK = tuple(map(number_of, ("thyroid_gland", "brain", "skull", *(f"vertebrae_C{n}" for n in range(1, 8)))))
WALL_MM = 15.0  # of skin, fat and muscle around the outermost organs of an estimated body


def region_of_labels(labels: np.ndarray) -> Region | None:
    """The region that most of a label map (Z, Y, X), axial slices first, shows; None if no organ tells.

    Chest and head or neck need more than half of the slices of the body, as in `regions.detect_region`.
    """
    shown = labels.any(axis=(1, 2))
    if not np.setdiff1d(np.unique(labels), (0, BODY, BONE, GAS)).size:
        return None
    area = (labels > 0).sum(axis=(1, 2))[shown]
    lungs = np.isin(labels, LUNGS).sum(axis=(1, 2))[shown]
    if np.mean(np.isin(labels, HEAD_AND_NECK).any(axis=(1, 2))[shown]) > 0.5:
        return HEAD_NECK
    return CHEST if np.mean(lungs > area / 12) > 0.5 else ABDOMEN


def with_body(labels: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """A label map with 118 (other body) around its organs: in every axial slice their convex hull and 15 mm more.

    labels: uint8 (Z, Y, X), organs alone; spacing (z, y, x) in mm. A slice with too few organ voxels for a hull stays
    as it is. This is a guess at a body, not anybody's.
    """
    body = np.stack([_hull(slice_ > 0, spacing[1:]) for slice_ in labels])
    return np.where((labels == 0) & body, np.uint8(BODY), labels).astype(np.uint8)


def _hull(organs: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """The convex hull of a bool slice (Y, X), grown by `WALL_MM`."""
    points = np.argwhere(organs) * spacing
    try:
        edges = ConvexHull(points).equations if len(points) > 2 else ()
    except QhullError:  # all in one line
        edges = ()
    if not len(edges):
        return organs
    y, x = (np.arange(n) * s for n, s in zip(organs.shape, spacing, strict=True))
    first, last = np.full(len(y), -np.inf), np.full(len(y), np.inf)
    for along_y, along_x, offset in edges:  # inside: along_y·y + along_x·x + offset ≤ the wall
        room = WALL_MM - offset - along_y * y
        if abs(along_x) < 1e-9:
            last[room < 0] = -np.inf
        elif along_x > 0:
            last = np.minimum(last, room / along_x)
        else:
            first = np.maximum(first, room / along_x)
    return (x >= first[:, None]) & (x <= last[:, None])
