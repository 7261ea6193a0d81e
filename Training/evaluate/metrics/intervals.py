"""How far a gain may be chance: bootstrap intervals over slices (Efron 1979)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .psnr_ssim import ImageQuality, SliceSums

DRAWS = 2000
LEVEL = 0.95

Measured = tuple[SliceSums, SliceSums]  # an image before and after a method


def gain_draws(measured: Sequence[Measured], seed: int = 0, draws: int = DRAWS) -> ImageQuality:
    """The gains of `draws` resamplings of a case's slices, each with the mean over its measurements: PSNR and SSIM as
    arrays (draws). measured: of one case under several noise seeds; a slice that is drawn is drawn in all of them.
    """
    count = len(measured[0][0].voxels)
    rng = np.random.default_rng([0xB007, seed])
    weights = rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)
    filled = weights @ measured[0][0].voxels > 0  # not slices without any body alone
    gains = [after.quality(weights[filled]) - before.quality(weights[filled]) for before, after in measured]
    return ImageQuality(np.mean([g.psnr for g in gains], axis=0), np.mean([g.ssim for g in gains], axis=0))


def interval(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """The middle `level` of the values."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
