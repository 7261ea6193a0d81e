"""The three anatomical regions of the model, their HU windows, and the choice of one from an image (paper, III-B
and IV-A2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Region:
    """A region class. `index` is its class embedding; `window` the HU range (low, high) scaled to [-1, 1]."""

    name: str
    index: int
    window: tuple[float, float]


HEAD_NECK = Region("head-neck", 0, (-150.0, 250.0))
CHEST = Region("chest", 1, (-1400.0, 400.0))
ABDOMEN = Region("abdomen", 2, (-120.0, 240.0))
REGIONS = {region.name: region for region in (HEAD_NECK, CHEST, ABDOMEN)}


def to_model(hu: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """HU to the model's [-1, 1]: the window's range linearly, values beyond it clipped. Returns float32."""
    low, high = (float(end) for end in window)
    x = (np.clip(np.asarray(hu, dtype=np.float32), low, high) - low) * (2.0 / (high - low)) - 1.0
    return x.astype(np.float32, copy=False)


def to_hu(x: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """The model's [-1, 1] to HU, float32: the inverse of `to_model` within the window."""
    low, high = (float(end) for end in window)
    return ((np.asarray(x, dtype=np.float32) + 1.0) * ((high - low) / 2.0) + low).astype(np.float32, copy=False)


def detect_region(hu: np.ndarray, spacing: tuple[float, float, float], body: np.ndarray) -> Region:
    """The region that most of a scan shows.

    hu: (Z, Y, X) in RAS order; spacing (z, y, x) in mm; body: bool, same shape. A head is narrow (a fifth of the
    slices covers less than 350 cm²) and bony (over 13 % of the body above 300 HU). A chest has lung in more than
    half of its slices (more than a twelfth of the body there). A neck is narrow with over 5.5 % of bone. Anything
    else is an abdomen.

    How wide a body is that fills its slices nobody can see: an ellipse fills π/4 of the image that it just fits into,
    so one that fills more was cut off. Then lung tells before width and bone do: a heart full of contrast is above
    300 HU too.
    """
    from .anatomy import lung_mask  # which loads PyTorch, and the regions' names and windows are wanted without it

    areas = body.sum(axis=(1, 2))
    shown = areas > 0
    if not shown.any():
        return ABDOMEN
    narrow = float(np.percentile(areas[shown], 20)) * spacing[1] * spacing[2] / 100 < 350
    bone = np.mean(hu[body] > 300)
    lungs = (lung_mask(hu) & body).sum(axis=(1, 2))
    chest = np.mean(lungs[shown] > areas[shown] / 12) > 0.5
    cut_off = np.mean(body[shown]) > math.pi / 4
    if narrow and bone > 0.13 and not (cut_off and chest):
        return HEAD_NECK
    if chest:
        return CHEST
    return HEAD_NECK if narrow and bone > 0.055 else ABDOMEN
