"""The strength of denoising: a mix of the result and its input, x = y − k·(y − x̂).

numpy and the standard library only, since a panel imports it in Slicer's own Python: its slider and `--strength` make
the same voxels.
"""

from __future__ import annotations

import numpy as np


def mix(before: np.ndarray, after: np.ndarray, percent: float) -> np.ndarray:
    """The voxels `before` with `percent` of the change to `after`, 0 to 100, in the type of `after`.

    Whole HU are rounded to the nearest, halves to the even one, so that the mean stays. Voxels that are equal in both
    stay as they are, and 0 and 100 % are the voxels themselves.
    """
    if percent == 100:
        return after.copy()
    mixed, whole = np.empty_like(after), np.issubdtype(after.dtype, np.integer)
    for slab, y, full in zip(mixed, before, after, strict=True):  # by slices, which need little memory
        y = y.astype(np.float64)
        x = y + (full - y) * (percent / 100)
        slab[...] = np.rint(x) if whole else x
    return mixed


def scaled(spread: np.ndarray, percent: float) -> np.ndarray:
    """An uncertainty in HU at `percent` of the full strength, float32: that of the mix, which has so much of x̂."""
    return spread * np.float32(percent / 100)


def summary(facts: dict) -> str:
    """A line on the noise before and after, from the facts of a denoising as the provenance holds them."""
    before, after, sigma = (_in_words(facts[key]) for key in ("noise_before_hu", "noise_after_hu", "sigma_hu"))
    return f"Noise {before} → {after} (σ {sigma}, strength {facts['strength_percent']:g} %, {facts['region']})"


def _in_words(hu: float | None) -> str:
    return "not measurable" if hu is None else f"{hu:.1f} HU"


def interpolated_noise(noise_hu: dict[str, float | None], percent: float) -> float | None:
    """The noise in HU at a strength, between those measured at others, {"70": 12.5}; None where one was not
    measurable.
    """
    if not noise_hu or None in noise_hu.values():
        return None
    known = sorted((float(at), hu) for at, hu in noise_hu.items())
    return float(np.interp(percent, *zip(*known, strict=True)))
