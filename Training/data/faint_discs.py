"""Faint discs planted in clean CT: what least squares lose first, and a reader must not miss."""

from __future__ import annotations

import numpy as np

CONTRAST_HU, DIAMETER_MM, MOST = (3.0, 15.0), (3.0, 12.0), 3
SOFT_HU = (-20.0, 130.0)  # where they are planted
EMPHASIS = 3.0


def plant_discs(
    rng: np.random.Generator, hu: np.ndarray, spacing: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """A copy of hu (Z, Y, X) with up to `MOST` balls, brighter or darker, in soft tissue, and how much each voxel
    counts: `EMPHASIS` inside of them, else 1. Spacing: mm (z, y, x).
    """
    planted, emphasis = hu.copy(), np.ones_like(hu)
    soft = np.argwhere((hu > SOFT_HU[0]) & (hu < SOFT_HU[1]))
    if len(soft) < 100:
        return planted, emphasis
    for _ in range(int(rng.integers(1, MOST + 1))):
        center, radius = soft[rng.integers(len(soft))], rng.uniform(*DIAMETER_MM) / 2
        lines = (np.arange(n) - c for n, c in zip(hu.shape, center, strict=True))
        z, y, x = np.ix_(*(line * mm for line, mm in zip(lines, spacing, strict=True)))
        depth = radius - np.sqrt(z * z + y * y + x * x)
        share = np.clip(depth / spacing[1] + 0.5, 0, 1).astype(np.float32)
        planted += np.float32(rng.uniform(*CONTRAST_HU) * rng.choice([-1, 1])) * share
        emphasis = np.where(share > 0.5, np.float32(EMPHASIS), emphasis)
    return planted, emphasis
