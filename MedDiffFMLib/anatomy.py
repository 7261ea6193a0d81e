"""Anatomy as the model sees it: a label map of 118 classes, coded as 7 binary planes.

Labels 1–117 are TotalSegmentator's, 118 is any other part of the body, 0 is the background. A one-hot of 118
channels takes 944 MB in a 128³ window; the bits of the label say the same in 7 planes (56 MB), and are made per
window, never for a whole volume.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage

BODY_LABEL = 118
CODE_PLANES = 7


def encode_labels(labels: torch.Tensor) -> torch.Tensor:
    """The 7-plane code of a label map: plane k is bit k of the label, as 0 or 1.

    labels: integer, shape (..., Z, Y, X), values 0–118. Returns float32, shape (..., 7, Z, Y, X).
    """
    bits = torch.arange(CODE_PLANES, device=labels.device).view(-1, 1, 1, 1)
    return ((labels.unsqueeze(-4).to(torch.int32) >> bits) & 1).float()


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
    Lung counts by itself, because in a crop it is open to the border and would not be filled.
    """
    tissue = ndimage.binary_opening(hu > threshold, structure=np.ones((1, 3, 3))) | lung_mask(hu)
    parts, count = ndimage.label(tissue)
    if count == 0:
        return np.zeros(hu.shape, dtype=bool)
    largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    body = parts == largest
    return np.stack([ndimage.binary_fill_holes(ndimage.binary_dilation(s)) for s in body])


def complete_labels(labels: np.ndarray | None, body: np.ndarray) -> np.ndarray:
    """A label map with the rest of the body marked 118; without one, the body alone. (Z, Y, X), uint8.

    body: bool, same shape (see `body_mask`).
    """
    rest = np.where(body, np.uint8(BODY_LABEL), np.uint8(0))
    return rest if labels is None else np.where(labels > 0, labels.astype(np.uint8), rest)
