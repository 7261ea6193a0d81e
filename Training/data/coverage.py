"""CTs that were given in part: HU inside a mask, and a blank elsewhere that would be taken for air.

The store keeps the box around what was given. In it the blank has the HU and the label of the nearest given voxel, so
that a network sees no edge and no air where the HU are unknown; its output there does not count in the loss
(`Crop.covered`).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from MedDiffFMLib.errors import InputError

from .store import bounding_box


def given_box(hu: np.ndarray, labels: np.ndarray, coverage: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HU, labels and coverage of a case (Z, Y, X) in the box around what was given, the blank continued.

    coverage: bool, where HU were given. InputError if there are none.
    """
    if not coverage.any():
        raise InputError("Its coverage marks no voxel of it: give the mask of where the CT is, or leave it out.")
    box = tuple(slice(*ends) for ends in bounding_box(coverage))
    hu, labels, coverage = hu[box], labels[box], coverage[box]
    nearest = ndimage.distance_transform_edt(~coverage, return_distances=False, return_indices=True)
    return hu[tuple(nearest)], labels[tuple(nearest)], coverage
