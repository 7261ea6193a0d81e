"""The image from which the expected, healthy organ is predicted: the scan, or the scan with the organ painted in its
median.

A lesion larger than what the noise hides is still in x̃_t, and the model then expects it. In an organ of one tissue the
median is healthy (as long as less than half of the organ is not), so the model begins there and adds what it knows.
In mixed tissue the median HU may not occur anywhere. A lung that a large tumor or effusion fills is of two tissues,
but the one that holds air is known to be the lung's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ..volumes.intensity import to_model
from .findings import robust_sigma

if TYPE_CHECKING:
    from .scan import Scan

# Robust σ in the model's range, −1 … 1: liver .04, lungs .06, muscles .11; a whole body .18 and more, bowel .32
LARGEST_SIGMA_OF_ONE_TISSUE = 0.125
NOISE_MM = 2.0  # the spread of tissues counts, not that of noise
AERATED_HU = -500.0  # below it lung holds more air than tissue


def healthy_start(
    x: np.ndarray, organ: np.ndarray, spacing: tuple[float, float, float], healthy_below: float | None = None
) -> np.ndarray | None:
    """The image `x` with every voxel of `organ` at the organ's median; None if the organ is of several tissues, unless
    `healthy_below` says which of them is healthy (for lungs `AERATED_HU`): then at its median.

    x: float32 (Z, Y, X) and healthy_below in the model's range; organ: bool, same shape; spacing (z, y, x) in mm.
    """
    median = np.median(x[organ])
    tissue = smooth_within(np.where(organ, x - median, np.float32(0)), organ, NOISE_MM, spacing)[organ]
    if robust_sigma(tissue) > LARGEST_SIGMA_OF_ONE_TISSUE:
        healthy = x[organ & (x < healthy_below)] if healthy_below is not None else x[:0]
        if healthy.size == 0:
            return None
        median = np.median(healthy)
    return np.where(organ, median, x).astype(np.float32)


def smooth_within(
    difference: np.ndarray, organ: np.ndarray, sigma_mm: float, spacing: tuple[float, float, float]
) -> np.ndarray:
    """A map smoothed by a Gaussian of `sigma_mm`, its weights those of the organ's voxels alone, so that nothing fades
    at the organ's border. 0 outside the organ in, (Z, Y, X), spacing (z, y, x) in mm; out also around the organ as
    far as the Gaussian reaches.
    """
    if sigma_mm == 0:
        return difference
    sigma = [sigma_mm / s for s in spacing]
    weight = ndimage.gaussian_filter(organ.astype(np.float32), sigma, mode="constant")
    total = ndimage.gaussian_filter(difference.astype(np.float32), sigma, mode="constant")
    return np.divide(total, weight, out=np.zeros_like(total), where=weight > 1e-3)


def painted_in_median(scan: Scan, organ: np.ndarray, aerated: bool) -> np.ndarray | None:
    """`healthy_start` of a scan with an organ, bool of the same shape. aerated: whether the organ is lung."""
    below = float(to_model(AERATED_HU, scan.window)) if aerated else None
    return healthy_start(scan.x, organ, scan.frame.spacing, below)


def beyond_the_border(expected: np.ndarray, organ: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The organ's expected HU carried on around it, so that on another grid no border voxel is mixed with air."""
    return np.where(organ, expected, smooth_within(np.where(organ, expected, 0), organ, max(spacing), spacing))
