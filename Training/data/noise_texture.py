"""The texture of CT noise as factors in the Fourier plane of a slice, and what else changes it on the way to a scan.

Filtered back-projection is linear: noise of a sharp kernel, filtered radially, is the noise of a softer one.
Frequencies are in cycles per pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude

CUTOFF = (0.35, 1.2)  # cycles per pixel at which a kernel ends
COARSE_CUTOFF = (0.25, 0.5)  # the same where iterative reconstruction has made the grain coarser
POWER = (0.3, 2.5)  # of the cosine that leads there: 1 is ASTRA's "cosine", 2 its "hann"
PINK_PER_MM = 0.03  # the most f₀ of the floor at low frequencies
OVERLAP = 0.6  # the most that a slice takes of each neighbor
EDGE_HU_PER_PIXEL = 25.0  # a gradient that counts as half an edge


@dataclass(frozen=True)
class Kernel:
    """A reconstruction kernel: where it ends and how, and an edge enhancing bump of `gain` at `peak`."""

    cutoff: float
    power: float
    gain: float = 0.0
    peak: float = 0.25

    @classmethod
    def draw(cls, rng: np.random.Generator, coarse: bool = False) -> Kernel:
        """A random kernel; three in ten sharpen edges."""
        gain = rng.uniform(0.3, 1.5) if rng.random() < 0.3 else 0.0
        return cls(
            rng.uniform(*(COARSE_CUTOFF if coarse else CUTOFF)), rng.uniform(*POWER), gain, rng.uniform(0.12, 0.4)
        )

    def amplitude(self, f: np.ndarray) -> np.ndarray:
        """A(f) = cos(πf / 2f_c)^power · (1 + gain·e^{−(f − peak)²/2·.08²}), 0 from the cutoff on."""
        window = np.maximum(np.cos(np.pi / 2 * np.minimum(f / self.cutoff, 1)), 0) ** self.power
        return window * (1 + self.gain * np.exp(-(((f - self.peak) / 0.08) ** 2) / 2))


@dataclass(frozen=True)
class Streaks:
    """Views that starved: those within `width` of `angle` (radians, of 180°) have `variance` times the noise."""

    angle: float
    width: float
    variance: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Streaks:
        """5° to 20° of views with 3 to 10 times the variance."""
        return cls(rng.uniform(0, np.pi), np.radians(rng.uniform(5, 20)), rng.uniform(3, 10))

    def amplitude(self, direction: np.ndarray) -> np.ndarray:
        """√variance in the sector of the Fourier plane that these views fill (central slice theorem), 1 elsewhere."""
        away = np.abs((direction - self.angle + np.pi / 2) % np.pi - np.pi / 2)
        return np.where(away < self.width / 2, np.float32(np.sqrt(self.variance)), np.float32(1))


def pink_floor(f: np.ndarray, f0: float) -> np.ndarray:
    """√((f + f₀)/f): what turns the ramp's power, f, into f + f₀. At f = 0, where images have noise and the ramp none,
    that of the lowest frequency there is.
    """
    lowest = np.maximum(f, f[f > 0].min())
    return np.sqrt((lowest + f0) / lowest)


@lru_cache(maxsize=32)
def frequencies(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The frequency (cycles per pixel) and the direction (radians) of each coefficient of `rfft2`, float32."""
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    return np.hypot(fy, fx).astype(np.float32), np.arctan2(fy, fx + 0 * fy).astype(np.float32)


def filtered(noise: np.ndarray, amplitude: np.ndarray) -> np.ndarray:
    """Slices (Z, Y, X) with their `rfft2` multiplied by `amplitude`; float32."""
    spectrum = scipy.fft.rfft2(noise.astype(np.float32, copy=False)) * amplitude.astype(np.float32)
    return scipy.fft.irfft2(spectrum, s=noise.shape[-2:])


def overlapped(noise: np.ndarray, share: float) -> np.ndarray:
    """Slices that overlap share noise: (a, 1, a)/√(1 + 2a²) of each and its neighbors; two slices fewer."""
    return (noise[1:-1] + share * (noise[:-2] + noise[2:])) / np.float32(np.sqrt(1 + 2 * share**2))


def edge_map(hu: np.ndarray) -> np.ndarray:
    """How much each pixel of the slices is an edge, 0 to 1: g/(g + 25 HU per pixel), g the gradient at 1.2 pixels."""
    gradient = np.stack([gaussian_gradient_magnitude(one.astype(np.float32), 1.2) for one in hu])
    return gradient / (gradient + np.float32(EDGE_HU_PER_PIXEL))


def iterative(noise: np.ndarray, hu: np.ndarray) -> np.ndarray:
    """What edge preserving reconstruction leaves: noise·(.4 + .6·edge map), less where the anatomy is even."""
    return noise * (np.float32(0.4) + np.float32(0.6) * edge_map(hu))


def log_strength(hu: np.ndarray, pixel_mm: float) -> np.ndarray:
    """What the anatomy around says of the logarithm of the noise's strength: .38 times the density within 15 mm.

    hu: slices (Z, Y, X). Fitted to simulated slices of 18 training cases, of whose variance within a slice it explains
    a tenth: the rest comes from far away, and stays that of the place that noise was taken from.
    """
    step = 4
    density = np.clip(hu[:, ::step, ::step].astype(np.float32) / 1000 + 1, 0, 2)
    smooth = gaussian_filter(density, (0, *[15 / pixel_mm / step] * 2), mode="nearest", truncate=2.5)
    full = smooth.repeat(step, axis=1).repeat(step, axis=2)[:, : hu.shape[1], : hu.shape[2]]
    return np.float32(0.38) * full
