"""The task transfer function: how much of each frequency of a round insert's edge is left (Richard et al. 2012; AAPM
TG-233). Unlike an MTF it belongs to one contrast, as what denoises is sharper at edges of more of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal.windows import tukey

STEP = 0.2  # of the edge profile, in pixels
REACH_MM = 8.0  # of the edge profile to either side


@dataclass(frozen=True)
class TaskTransfer:
    """A transfer function. frequencies: 1/mm; values: 1 at frequency 0."""

    frequencies: np.ndarray
    values: np.ndarray

    @property
    def half(self) -> float:
        """TTF₅₀ in 1/mm: where half is left, between the two frequencies around; NaN if more is left everywhere."""
        below = np.flatnonzero(self.values < 0.5)
        if not below.size or below[0] == 0:
            return float("nan")
        k = below[0]
        (a, b), (f, g) = self.values[k - 1 : k + 1], self.frequencies[k - 1 : k + 1]
        return float(f + (a - 0.5) / (a - b) * (g - f))


def task_transfer(image: np.ndarray, center: tuple[float, float], radius_mm: float, pixel_mm: float) -> TaskTransfer:
    """The transfer function of the edge of a disc. image: (Y, X), blank but for the disc, the mean of many slices;
    center: (y, x) in pixels.

    The profile over the distance from the edge is differentiated, windowed (flat over the middle half) and transformed.
    """
    reach = min(REACH_MM, radius_mm)
    y, x = np.indices(image.shape)
    apart = np.hypot(y - center[0], x - center[1]) * pixel_mm - radius_mm
    step = STEP * pixel_mm
    bins = np.rint(apart / step).astype(int)
    last = round(reach / step)
    inside = np.abs(bins) <= last
    sums = np.bincount(bins[inside] + last, image[inside], 2 * last + 1)
    counts = np.bincount(bins[inside] + last, minlength=2 * last + 1)
    places = np.arange(-last, last + 1)
    edge = np.interp(places, places[counts > 0], sums[counts > 0] / counts[counts > 0])
    line = -np.diff(edge) * tukey(2 * last, 0.5)
    frequencies = np.arange(0, 0.5 / pixel_mm + 1e-9, 0.005 / pixel_mm)
    at = (np.arange(2 * last) - last + 0.5) * step
    values = np.abs(np.exp(-2j * np.pi * frequencies[:, None] * at) @ line)
    return TaskTransfer(frequencies, values / values[0])
