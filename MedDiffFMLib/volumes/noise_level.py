"""The noise level of a CT, in HU, measured in its soft tissue."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

KERNEL_MM = 7.0


def estimate_noise(hu: np.ndarray, body: np.ndarray, spacing: tuple[float, float, float]) -> float | None:
    """The noise's standard deviation in HU: the most frequent local one in even soft tissue. None if there is too
    little tissue.

    hu: (Z, Y, X), axial slices; body: bool, same shape; spacing (z, y, x) in mm. Looks at windows of about 7 mm (3
    to 7 voxels) within a slice whose mean lies in −150 … 220 HU and whose voxels are all in the body. Taking the
    most frequent value leaves edges and vessels out, and a window sees most of the correlated noise of CT, which
    differences of neighbors would miss.
    """
    kernel = int(np.clip(2 * round((KERNEL_MM / spacing[1] - 1) / 2) + 1, 3, 7))
    deviations = [_local_deviations(hu[z].astype(np.float32), body[z], kernel) for z in sampled_slices(hu.shape[0])]
    values = np.concatenate(deviations)
    if len(values) < 500:
        return None
    values = values[values < np.percentile(values, 90)]
    if not len(values):  # nearly all the same: a phantom without noise
        return 0.0
    counts, edges = np.histogram(values, bins=np.arange(0, values.max() + 1.0, 0.5))
    peak = int(np.argmax(ndimage.gaussian_filter1d(counts.astype(float), 2.0)))
    degrees = kernel**2 - 1
    mode_to_sigma = np.sqrt(degrees / (degrees - 1))  # the mode of a χ distribution lies below its σ
    return float(0.5 * (edges[peak] + edges[peak + 1]) * mode_to_sigma)


def sampled_slices(count: int, limit: int = 40) -> np.ndarray:
    """The numbers of at most 40 slices spread over a volume: enough for statistics, and quick on a large scan."""
    return np.unique(np.linspace(0, count - 1, min(count, limit)).round().astype(int))


def _local_deviations(hu: np.ndarray, body: np.ndarray, kernel: int) -> np.ndarray:
    """The standard deviation within each window of a slice that is soft tissue, as a list."""
    mean = ndimage.uniform_filter(hu, kernel)
    variance = (ndimage.uniform_filter(hu * hu, kernel) - mean**2) * (kernel**2 / (kernel**2 - 1))
    inside = ndimage.binary_erosion(body, structure=np.ones((kernel, kernel)))
    return np.sqrt(np.maximum(variance[inside & (mean > -150) & (mean < 220)], 0))
