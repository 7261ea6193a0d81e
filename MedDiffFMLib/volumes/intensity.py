"""HU to the model's range and back."""

from __future__ import annotations

import numpy as np


def to_model(hu: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """HU in the model's range [-1, 1], float32: the window's range linearly, values beyond it clipped."""
    low, high = (float(end) for end in window)
    x = (np.clip(np.asarray(hu, dtype=np.float32), low, high) - low) * (2.0 / (high - low)) - 1.0
    return x.astype(np.float32, copy=False)


def keep_beyond(hu: np.ndarray, estimate: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """An estimate, in HU within the window, but the CT's own HU where both are at or beyond the same end of it.

    So nothing is clipped that only the window hides, and within the window the result is the estimate itself.
    """
    low, high = window
    hidden = ((estimate <= low) & (hu <= low)) | ((estimate >= high) & (hu >= high))
    return np.where(hidden, hu, np.clip(estimate, low, high)).astype(np.float32, copy=False)


def to_hu(x: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """HU of values in the model's range [-1, 1], float32: the inverse of `to_model` within the window."""
    low, high = (float(end) for end in window)
    return ((np.asarray(x, dtype=np.float32) + 1.0) * ((high - low) / 2.0) + low).astype(np.float32, copy=False)
