"""The noise power spectrum of images, and its mean frequency (AAPM TG-233, Samei et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NoisePower:
    """A radial spectrum. frequencies: 1/mm; power: HU²·mm² at each; sigma: the noise's standard deviation in HU."""

    frequencies: np.ndarray
    power: np.ndarray
    sigma: float

    @property
    def mean_frequency(self) -> float:
        """The frequency in 1/mm that the noise has in the mean: its grain. Lower is coarser."""
        return float(np.average(self.frequencies, weights=self.power))

    @property
    def peak_frequency(self) -> float:
        """The frequency in 1/mm of the most power."""
        return float(self.frequencies[self.power.argmax()])


def noise_power(regions: np.ndarray, pixel_mm: float) -> NoisePower:
    """The radial noise power of square regions (n, N, N) that hold noise alone, each less its mean; up to the Nyquist
    frequency, in steps of 1/(N·pixel).
    """
    size = regions.shape[-1]
    noise = regions - regions.mean(axis=(1, 2), keepdims=True)
    power = np.mean(np.abs(np.fft.fft2(noise)) ** 2, axis=0) * pixel_mm**2 / size**2
    axis = np.fft.fftfreq(size) * size
    ring = np.rint(np.hypot(axis[:, None], axis)).astype(int)
    kept = (ring > 0) & (ring <= size // 2)
    sums, counts = np.bincount(ring[kept], power[kept]), np.bincount(ring[kept])
    rings = np.arange(1, size // 2 + 1)
    return NoisePower(rings / (size * pixel_mm), sums[1:] / counts[1:], float(noise.std()))
