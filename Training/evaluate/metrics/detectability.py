"""Detectability of a known signal: the non-prewhitening observer with an eye filter (NPWE; Burgess 1994, J Opt Soc Am A
11:1237), as AAPM TG-233 has it, on images with and without the signal.

Its template is the signal seen through the eye filter E twice, w = F⁻¹[E²·F[s]]; an image gives t = Σ w·g, and
d′ = (mean t₁ − mean t₀) / √((var t₁ + var t₀)/2) of those with and those without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .intervals import interval

PEAK, EXPONENT = 4.0, 1.3  # of the eye filter: cycles a degree where it is most sensitive, and its rise
MM_A_DEGREE = 500 * np.tan(np.radians(1))  # life-size from half a meter
DRAWS = 1000


def eye_filter(frequencies: np.ndarray) -> np.ndarray:
    """E at frequencies in 1/mm: ρ^1.3·e^{−cρ²} over ρ in cycles a degree, 1 at its peak of 4."""
    share = frequencies * MM_A_DEGREE / PEAK
    return share**EXPONENT * np.exp(EXPONENT / 2 * (1 - share**2))


def template(signal: np.ndarray, pixel_mm: float, eye: Callable[[np.ndarray], np.ndarray] = eye_filter) -> np.ndarray:
    """The observer's template w for a signal (N, N) in HU."""
    axis = np.fft.fftfreq(len(signal), pixel_mm)
    seen = np.fft.fft2(signal) * eye(np.hypot(axis[:, None], axis)) ** 2
    return np.fft.ifft2(seen).real


@dataclass(frozen=True)
class Responses:
    """What an observer's template gives: t of images with the signal and without."""

    present: np.ndarray
    absent: np.ndarray

    @property
    def d_prime(self) -> float:
        """d′ over all of them."""
        return float(_d_prime(self.present, self.absent))

    def draws(self, seed: int = 0, count: int = DRAWS) -> np.ndarray:
        """d′ of `count` resamplings; equal numbers of images and an equal seed draw the same images."""
        rng = np.random.default_rng([0xD, seed])
        present = self.present[rng.integers(len(self.present), size=(count, len(self.present)))]
        return _d_prime(present, self.absent[rng.integers(len(self.absent), size=(count, len(self.absent)))])

    def interval(self) -> tuple[float, float]:
        """The 95 % interval of d′."""
        return interval(self.draws())

    def ratio_interval(self, before: Responses) -> tuple[float, float]:
        """The 95 % interval of d′ over that of the same images before a method; NaN where those do not show the signal
        for certain, as nothing can be told then.
        """
        if before.interval()[0] <= 0:
            return float("nan"), float("nan")
        return interval(self.draws() / before.draws())


def responses(weights: np.ndarray, present: Sequence[np.ndarray], absent: Sequence[np.ndarray]) -> Responses:
    """t of regions (N, N) with the signal and without it."""
    return Responses(*(np.tensordot(np.stack(images), weights, 2) for images in (present, absent)))


def _d_prime(present: np.ndarray, absent: np.ndarray) -> np.ndarray:
    """d′ along the last axis."""
    spread = (present.var(axis=-1, ddof=1) + absent.var(axis=-1, ddof=1)) / 2
    return (present.mean(axis=-1) - absent.mean(axis=-1)) / np.sqrt(spread)
