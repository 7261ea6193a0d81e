"""CT-like noise of many kinds without a sinogram: white noise filtered by a random kernel, for training and its tests.

Its spectrum is that of filtered back-projection, (f + f₀)·A(f)² (see `noise`), stronger along some directions; its
strength varies slowly over the slice; slices overlap in some draws, so that neighbors share noise.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

MARGIN = 32  # pixels around a crop: filtered noise repeats itself at the borders of what was filtered
CUTOFF = (0.3, 1.2)  # cycles per pixel, where the kernel's window ends
FLOOR_PER_MM = 0.03  # largest f₀
OVERLAP = (0.1, 0.6)  # correlation of neighboring slices, in half of the draws
STRENGTH_MM, STRENGTH_SD = 40.0, 0.3  # how far and how much, in logarithm, the strength varies


class SpectralNoise:
    """A source of noise, see `draw`. It has the interface of a bank of noise from sinograms."""

    def draw(
        self, rng: np.random.Generator, hu: np.ndarray, spacing: tuple[float, float, float], sigma_hu: float
    ) -> np.ndarray:
        """Noise for an image hu (Z, Y, X), float32, whose standard deviation over all of it is sigma_hu.

        spacing: mm (z, y, x). Every draw has a spectrum, directions, strength map and overlap of its own.
        """
        shape = (hu.shape[0], *(n + 2 * MARGIN for n in hu.shape[1:]))
        white = rng.standard_normal(shape, dtype=np.float32)
        white = _overlapping(rng, white)
        noise = np.fft.irfft2(np.fft.rfft2(white) * _amplitude(rng, shape[1:], spacing[1]), s=shape[1:])
        noise = noise[:, MARGIN:-MARGIN, MARGIN:-MARGIN] * _strength(rng, hu.shape[1:], spacing[1])
        return (noise * (sigma_hu / max(float(noise.std()), 1e-6))).astype(np.float32)


def _amplitude(rng: np.random.Generator, shape: tuple[int, int], pixel_mm: float) -> np.ndarray:
    """√(power) on the half grid of `rfft2`: a kernel, smooth to sharp, and stronger along one direction."""
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    f, cutoff = np.hypot(fy, fx), rng.uniform(*CUTOFF)
    window = np.where(f < cutoff, 0.5 + 0.5 * np.cos(np.pi * np.minimum(f / cutoff, 1.0)), 0.0) ** rng.uniform(0.5, 1.5)
    window = window * (1 + rng.uniform(0, 1.0) * np.exp(-(((f - 0.2) / 0.1) ** 2)))  # edges enhanced
    direction = np.cos(2 * (np.arctan2(fy, fx) - rng.uniform(0, np.pi)))
    power = (f + rng.uniform(0, FLOOR_PER_MM) * pixel_mm) * window**2 * np.exp(rng.uniform(0, 1.0) * direction)
    return np.sqrt(power).astype(np.float32)


def _overlapping(rng: np.random.Generator, white: np.ndarray) -> np.ndarray:
    """Slices (Z, Y, X) mixed as (a, 1, a) with their neighbors in half of the draws, which then share noise."""
    if rng.random() < 0.5:
        return white
    share = rng.uniform(*OVERLAP) / 2
    return ndimage.convolve1d(white, np.array([share, 1.0, share], np.float32), axis=0, mode="wrap")


def _strength(rng: np.random.Generator, shape: tuple[int, int], pixel_mm: float) -> np.ndarray:
    sd = STRENGTH_MM / pixel_mm
    coarse = [max(2, int(np.ceil(n / sd)) + 2) for n in shape]
    field = rng.standard_normal(coarse, dtype=np.float32) * STRENGTH_SD
    zoomed = ndimage.zoom(field, [n / c for n, c in zip(shape, coarse, strict=True)], order=1, mode="nearest")
    return np.exp(zoomed[: shape[0], : shape[1]])
