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
    """A line on what a denoising did, from its facts as the provenance holds them: noise, grain and change of HU."""
    before, after, sigma = (_in_words(facts[key]) for key in ("noise_before_hu", "noise_after_hu", "sigma_hu"))
    how = f"σ {sigma}, strength {facts['strength_percent']:g} %, {facts['region']}"
    grain, change = grains(facts), largest_change(facts)
    told = [f"Noise {before} → {after} ({how})"]
    if grain:
        told.append("grain {:.3f} → {:.3f}/mm".format(*grain))
    if change:
        told.append("mean HU change at most {1:+.1f} ({0})".format(*change))
    return ", ".join(told)


def _in_words(hu: float | None) -> str:
    return "not measurable" if hu is None else f"{hu:.1f} HU"


def grains(facts: dict) -> tuple[float, float] | None:
    """The mean frequency of the noise in 1/mm before and after a denoising, from its facts; None if not measured."""
    told = facts.get("grain_by_strength_per_mm", {})
    after = interpolated(told, facts["strength_percent"])
    return None if after is None else (told["0"], after)


def largest_change(facts: dict) -> tuple[str, float] | None:
    """The tissue whose mean HU a denoising changed most, and by how much, from its facts; None if none was seen."""
    changes = facts.get("full_change_hu", {})
    if not changes:
        return None
    tissue = max(changes, key=lambda name: abs(changes[name]))
    return tissue, changes[tissue] * facts["strength_percent"] / 100


def interpolated(values: dict[str, float | None], percent: float) -> float | None:
    """A number at a strength, between those measured at others, {"70": 12.5}; None where one was not measurable."""
    if not values or None in values.values():
        return None
    known = sorted((float(at), value) for at, value in values.items())
    return float(np.interp(percent, *zip(*known, strict=True)))
