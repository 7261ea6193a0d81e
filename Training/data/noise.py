"""CT-like noise for training: correlated in the slice by the reconstruction, independent from slice to slice.

Filtered back-projection shapes the noise power spectrum as |f|·A(f)²: the ramp of the filter, and the window A of
the kernel (Riederer, Pelc & Chesler 1978). A prior that has seen white noise alone takes such noise for structure
and keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CUTOFF = (0.3, 1.0)  # cycles per voxel at which the kernel's window ends: from smooth to sharp kernels
LEVEL_SPREAD = 0.15  # of the logarithm of the noise level around what t says: σ is never known exactly


def ct_amplitude(shape: Sequence[int], cutoff: float) -> np.ndarray:
    """√(power spectrum) of FBP noise on the half grid of `rfft2` for slices of `shape` (Y, X), with mean power 1.

    cutoff: in cycles per voxel, where the Hann window of the kernel reaches zero.
    """
    fy, fx = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
    f = np.hypot(fy[:, None], fx[None, :])
    hann = np.where(f < cutoff, 0.5 + 0.5 * np.cos(np.pi * f / cutoff), 0.0)
    power = f * hann**2
    weight = np.full(power.shape, 2.0)  # a real image: every column but the first and last stands for two
    weight[:, 0] = 1.0
    if shape[1] % 2 == 0:
        weight[:, -1] = 1.0
    return np.sqrt(power / (np.sum(weight * power) / (shape[0] * shape[1])))


def ct_noise(rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    """CT-like noise of about unit standard deviation: float32, (Z, Y, X), a random kernel, slices independent."""
    white = rng.standard_normal(shape, dtype=np.float32)
    amplitude = ct_amplitude(shape[-2:], rng.uniform(*CUTOFF))
    noise = np.fft.irfft2(np.fft.rfft2(white) * amplitude, s=shape[-2:])
    return (noise * np.exp(rng.normal(0, LEVEL_SPREAD))).astype(np.float32)
