"""The three anatomical regions of the model, their HU windows, and the choice of one from an image (paper, III-B and IV-A2)."""

from __future__ import annotations

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
    low, high = window
    return (np.clip(np.asarray(hu, dtype=np.float32), low, high) - low) * np.float32(2.0 / (high - low)) - np.float32(1.0)


def to_hu(x: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """The model's [-1, 1] to HU, float32: the inverse of `to_model` within the window."""
    low, high = window
    return (np.asarray(x, dtype=np.float32) + 1.0) * np.float32((high - low) / 2.0) + np.float32(low)
