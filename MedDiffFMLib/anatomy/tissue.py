"""Body, lungs, bones and gas of a CT by thresholds and connected parts, as a label map; a body around given organs.

Labels 1–117 are TotalSegmentator's (`anatomy.classes` has the names), 118 is any other part of the body, 0 is the
background. Three more, of this project, are found by thresholds without a segmentation model: lung, bone, gas.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from ..volumes.padding import find_padding
from ..volumes.squares import closed, opened
from .classes import BODY, BONE, GAS, LUNG

BODY_LABEL, LUNG_LABEL, BONE_LABEL, GAS_LABEL = BODY, LUNG, BONE, GAS
LAST_LABEL = GAS_LABEL
DENSE_HU = -400.0  # above it is tissue


def lung_mask(hu: np.ndarray) -> np.ndarray:
    """The voxels that look like lung: wide areas whose mean over 5 × 5 voxels of a slice lies in −930 … −600 HU.

    hu: shape (Z, Y, X), axial slices first. Returns bool, same shape. Air is darker, and the rim between air and
    skin too thin.
    """
    mean = ndimage.uniform_filter(np.asarray(hu, dtype=np.float32), size=(1, 5, 5))
    return opened((mean > -930) & (mean < -600), 7)


class BodyImage:
    """A CT with the body and the lungs in it, each found once, when it is first asked for.

    hu: (Z, Y, X) in RAS order, axial slices first; spacing (z, y, x) in mm. body: where it is known, else it is found
    by threshold (`body_mask`).
    """

    def __init__(self, hu: np.ndarray, spacing: tuple[float, float, float], body: np.ndarray | None = None):
        self.hu, self.spacing, self._given = hu, spacing, body

    @property
    def body(self) -> np.ndarray:
        """The body, bool (Z, Y, X)."""
        return self._body_and_lungs[0] if self._given is None else self._given

    @property
    def lungs(self) -> np.ndarray:
        """The voxels that look like lung (`lung_mask`) in the body, bool (Z, Y, X); a new array each time."""
        return np.unpackbits(self._body_and_lungs[1], axis=-1, count=self.hu.shape[-1]).view(bool)

    @cached_property
    def _body_and_lungs(self) -> tuple[np.ndarray, np.ndarray]:
        """The body, and the lungs as bits along x: they are kept for as long as the scan."""
        lung = lung_mask(self.hu)
        body = body_mask(self.hu, lung) if self._given is None else self._given
        return body, np.packbits(lung & body, axis=-1)

    def slices(self, z: slice) -> BodyImage:
        """The image of some of the slices, with the body and the lungs found in the whole."""
        part = BodyImage(self.hu[z], self.spacing, self.body[z])
        if "_body_and_lungs" in vars(self):
            part._body_and_lungs = part.body, self._body_and_lungs[1][z]
        return part


def body_mask(hu: np.ndarray, lung: np.ndarray | None = None) -> np.ndarray:
    """The body: the largest connected part of lung or of tissue above −400 HU, its inside filled slice by slice.

    hu: shape (Z, Y, X), axial slices first; lung: its `lung_mask`, where that is known. Returns bool, same shape; all
    False if nothing is above the threshold.
    Lung counts by itself, because in a crop it is open to the border and would not be filled. Areas of one constant
    value are padding, not tissue.
    """
    padding = find_padding(hu)
    dense = hu > DENSE_HU if padding is None else (hu > DENSE_HU) & ~padding
    tissue = opened(dense, 3)
    tissue |= lung_mask(hu) if lung is None else lung
    if padding is not None:
        tissue &= ~padding
    parts, count = ndimage.label(tissue)
    if count == 0:
        return np.zeros(hu.shape, dtype=bool)
    sizes = _sizes(parts, count)
    body = parts == 1 + int(np.argmax(sizes[1:]))
    del parts, tissue, dense  # several times as large as the body
    for one in body:
        one[:] = _filled(ndimage.binary_dilation(one))
    return body if padding is None else body & ~padding


def _sizes(parts: np.ndarray, count: int) -> np.ndarray:
    """The number of voxels of each of `count` parts, the background's first. By slices: NumPy counts a copy."""
    return sum(np.bincount(one.ravel(), minlength=count + 1) for one in parts)


def _filled(mask: np.ndarray) -> np.ndarray:
    """A slice (Y, X) with its holes filled: all but the parts of its background that reach the border."""
    background, count = ndimage.label(~mask)
    outside = np.zeros(count + 1, bool)
    for edge in (background[0], background[-1], background[:, 0], background[:, -1]):
        outside[edge] = True
    outside[0] = False  # the mask itself
    return ~outside[background]


def find_tissue(image: BodyImage) -> np.ndarray:
    """The tissues that thresholds and connected parts find without a segmentation model: body, lungs, bones and gas.

    Returns labels (Z, Y, X), uint8: 0, 118, 119 (lung), 120 (bone: parts of at least 1 cm³ that reach 300 HU, with what
    is joined to them above 180 HU), 121 (gas: below −400 HU and no lung). Vessels full of contrast medium can count as
    bone: nothing here knows shapes.
    """
    hu, body, lung = image.hu, image.body, image.lungs
    labels = np.where(body, np.uint8(BODY_LABEL), np.uint8(0))
    labels[body & (hu < DENSE_HU)] = GAS_LABEL
    vessels_and_walls = closed(lung, 7) & body
    labels[lung | vessels_and_walls] = LUNG_LABEL
    smooth = ndimage.uniform_filter(np.asarray(hu, dtype=np.float32), size=(1, 3, 3))
    parts, count = ndimage.label((smooth > 180) & body)
    seeds = np.bincount(parts[smooth > 300], minlength=count + 1)
    cubic_cm = _sizes(parts, count) * float(np.prod(image.spacing)) / 1000
    bone = (seeds > 0) & (cubic_cm >= 1.0)
    bone[0] = False
    labels[bone[parts]] = BONE_LABEL
    return labels


def complete_labels(labels: np.ndarray | None, tissue: np.ndarray) -> np.ndarray:
    """The labels of given organs, completed by `tissue` where they are 0 or None: (Z, Y, X), uint8.

    tissue: bool for the body alone, else labels of `find_tissue`.
    """
    rest = np.where(tissue, np.uint8(BODY_LABEL), np.uint8(0)) if tissue.dtype == bool else tissue
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
