"""Body, lungs, bones and gas of a CT by thresholds and connected parts, as a label map; a body around given organs.

Labels 1–117 are TotalSegmentator's (`anatomy.classes` has the names), 118 is any other part of the body, 0 is the
background. Three more, of this project, name what a threshold can tell without a segmentation model: lung, bone, gas.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from ..volumes.padding import find_padding
from .classes import BODY, BONE, GAS, LUNG

BODY_LABEL, LUNG_LABEL, BONE_LABEL, GAS_LABEL = BODY, LUNG, BONE, GAS
LAST_LABEL = GAS_LABEL


def lung_mask(hu: np.ndarray) -> np.ndarray:
    """What looks like lung: wide areas whose mean over 5 × 5 voxels of a slice lies in −930 … −600 HU.

    hu: shape (Z, Y, X), axial slices first. Returns bool, same shape. Air is darker, and the rim between air and
    skin too thin.
    """
    mean = ndimage.uniform_filter(np.asarray(hu, dtype=np.float32), size=(1, 5, 5))
    return ndimage.binary_opening((mean > -930) & (mean < -600), structure=np.ones((1, 7, 7)))


def body_mask(hu: np.ndarray, threshold: float = -400.0) -> np.ndarray:
    """The body: the largest connected part of lung or of tissue above `threshold` HU, its inside filled slice by
    slice.

    hu: shape (Z, Y, X), axial slices first. Returns bool, same shape; all False if nothing is above the threshold.
    Lung counts by itself, because in a crop it is open to the border and would not be filled. Areas of one constant
    value are padding, not tissue.
    """
    padding = find_padding(hu)
    dense = hu > threshold if padding is None else (hu > threshold) & ~padding
    tissue = ndimage.binary_opening(dense, structure=np.ones((1, 3, 3))) | lung_mask(hu)
    if padding is not None:
        tissue &= ~padding
    parts, count = ndimage.label(tissue)
    if count == 0:
        return np.zeros(hu.shape, dtype=bool)
    largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    body = parts == largest
    body = np.stack([ndimage.binary_fill_holes(ndimage.binary_dilation(s)) for s in body])
    return body if padding is None else body & ~padding


def find_tissue(hu: np.ndarray, spacing: tuple[float, float, float], body: np.ndarray) -> np.ndarray:
    """What thresholds and connected parts can tell without a segmentation model: body, lungs, bones and gas.

    hu: (Z, Y, X), axial slices first; spacing (z, y, x) in mm; body: bool, see `body_mask`. Returns labels, uint8: 0,
    118, 119 (lung), 120 (bone: parts of at least 1 cm³ that reach 300 HU, with what is joined to them above 180 HU),
    121 (gas: below −400 HU and no lung). Vessels full of contrast medium can count as bone: nothing here knows shapes.
    """
    labels = np.where(body, np.uint8(BODY_LABEL), np.uint8(0))
    lung = lung_mask(hu) & body
    labels[body & (hu < -400)] = GAS_LABEL
    lung |= ndimage.binary_closing(lung, np.ones((1, 3, 3)), iterations=3) & body  # its vessels and walls
    labels[lung] = LUNG_LABEL
    smooth = ndimage.uniform_filter(np.asarray(hu, dtype=np.float32), size=(1, 3, 3))
    parts, count = ndimage.label((smooth > 180) & body)
    seeds = np.bincount(parts[smooth > 300], minlength=count + 1)
    cubic_cm = np.bincount(parts.ravel(), minlength=count + 1) * float(np.prod(spacing)) / 1000
    bone = (seeds > 0) & (cubic_cm >= 1.0)
    bone[0] = False
    labels[bone[parts]] = BONE_LABEL
    return labels


def complete_labels(labels: np.ndarray | None, found: np.ndarray) -> np.ndarray:
    """Given organs over what was found without them: `found` where `labels` is 0 or None. (Z, Y, X), uint8.

    found: bool for the body alone, else labels of `find_tissue`.
    """
    rest = np.where(found, np.uint8(BODY_LABEL), np.uint8(0)) if found.dtype == bool else found
    return rest if labels is None else np.where(labels > 0, labels.astype(np.uint8), rest)


WALL_MM = 15.0  # of skin, fat and muscle around the outermost organs of an estimated body


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
