"""The findings in an anomaly map: a threshold, a binary mask, and a table of its connected parts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from ..volumes.volume import Volume, to_ras
from .threshold import TOUCHING, Threshold, is_large

MAD_TO_SIGMA = 1.4826  # of a normal distribution
SMALLEST_HU = 1.0  # of an automatic threshold: below are only rounding errors


def find_threshold(values: np.ndarray, threshold: str | float, deviations: float, signed: bool) -> Threshold:
    """The threshold in HU for the map's `values` within the organ.

    threshold: a number counts from 0; "auto" is robust: from the median, `deviations` times 1.4826·MAD (a normal
    distribution's σ), so that the organ's own shift (contrast medium) and noise set the measure, as long as less than
    half of it is abnormal. signed: whether darker parts count too.
    """
    if threshold != "auto":
        return Threshold(0.0, float(threshold), darker=signed)
    center = float(np.median(values))
    return Threshold(center, max(deviations * robust_sigma(values), SMALLEST_HU), darker=signed)


def robust_sigma(values: np.ndarray) -> float:
    """A robust σ of values, 1.4826·MAD: that of a normal distribution, hardly moved by a few values far away."""
    return MAD_TO_SIGMA * float(np.median(np.abs(values - np.median(values))))


def find_parts(
    deviation: np.ndarray, organ: np.ndarray, threshold: Threshold, smallest_ml: float, voxel_ml: float
) -> np.ndarray:
    """The connected parts (faces, edges or corners) of what the threshold finds, brighter and darker ones apart.

    deviation: the map in HU; organ: bool, same shape. Returns a part's number 1 … count a voxel, 0 elsewhere; parts of
    less than `smallest_ml` are left out.
    """
    parts, count = np.zeros(deviation.shape, np.int32), 0
    for _, over in threshold.sides(deviation, organ):
        side, number = ndimage.label(over, structure=TOUCHING)
        large = np.flatnonzero(is_large(np.bincount(side.ravel())[1:], voxel_ml, smallest_ml)) + 1
        renumbered = np.zeros(number + 1, np.int32)
        renumbered[large] = count + 1 + np.arange(len(large))
        parts += renumbered[side]
        count += len(large)
    return parts


def table_of(
    deviation: np.ndarray, parts: np.ndarray, threshold: Threshold, volume: Volume, organ_of: Callable[[tuple], str]
) -> list[dict]:
    """The table of findings: a row a part, the most abnormal first (|mean − center| × volume); the arrays are on the
    grid of `volume`.

    peak_hu and mean_hu: the map's value furthest from the threshold's center, and its mean. center: of mass, in mm,
    RAS. organ_of: the organ's name for the voxels of a part, given as an index into such arrays.
    """
    rows = []
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        inside = np.nonzero(parts[box] == number)
        where = tuple(i + s.start for i, s in zip(inside, box, strict=True))
        away = deviation[where] - threshold.center
        r, a, s = to_ras(volume, np.mean(where, axis=1))
        direction = "brighter" if away.mean() > 0 else "darker"
        rows.append(
            {
                "organ": organ_of(where),
                "deviation": direction if threshold.signed else "absolute",
                "volume_ml": round(away.size * float(np.prod(volume.spacing)) / 1000, 3),
                "peak_hu": round(float(away[np.argmax(np.abs(away))] + threshold.center), 1),
                "mean_hu": round(float(away.mean() + threshold.center), 1),
                "center_r_mm": round(r, 1),
                "center_a_mm": round(a, 1),
                "center_s_mm": round(s, 1),
            }
        )
    rows.sort(key=lambda row: -abs(row["mean_hu"] - threshold.center) * row["volume_ml"])
    return [{"finding": number} | row for number, row in enumerate(rows, 1)]
