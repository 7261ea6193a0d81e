"""The quanta that a detector counts behind a patient, and the noise that they leave in the path attenuation.

A ray with N expected quanta is read as n = N + √(N + σₑ²)·ε, photons and electronics together, but never as less than
one quantum; its path attenuation then errs by −ln n. Scanners correct the mean of that, so that the noise is

    E[ln n] − ln n        with the variance 1/N + σₑ²/N² where quanta are many.

Where they are few (starved rays) that formula grows without bound and the reading does not: n stays above one.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.special import ndtri

from .scanner import MU_WATER

ELECTRONICS = 10.0  # σₑ, in quanta
STARVED = 10.0  # expected quanta below which electronics are all that is read


def expected_quanta(path: np.ndarray, n0: float, air: np.ndarray | float = 1.0) -> np.ndarray:
    """N = n0·air·e^{−p}: the quanta of rays with the path attenuation p, `air` of n0 of them without a patient."""
    return n0 * air * np.exp(-path)


def bowtie(offsets_mm: np.ndarray, radius_mm: float, strength: float = 0.7) -> np.ndarray:
    """The share of quanta that a bowtie filter lets through at each distance from the axis: it attenuates what a water
    cylinder of `radius_mm` lacks there beside its middle, times `strength`. 1 on the axis.
    """
    chord = 2 * np.sqrt(np.maximum(radius_mm**2 - offsets_mm**2, 0))
    return np.exp(-strength * MU_WATER * (2 * radius_mm - chord)).astype(np.float32)


def tube_current(path: np.ndarray, strength: float, reference: float) -> np.ndarray:
    """The tube current of each view (angles, 1), 1 where the thickest path is `reference`: e^{strength·(p − reference)}
    as modulation has it, within what a tube can do.
    """
    return np.clip(np.exp(strength * (path.max(axis=1, keepdims=True) - reference)), 0.2, 3.0)


def log_noise(quanta: np.ndarray, white: np.ndarray) -> np.ndarray:
    """The noise of the path attenuation of rays with the expected `quanta`; white: standard normal, same shape."""
    counts = np.maximum(quanta + np.sqrt(quanta + ELECTRONICS**2) * white, 1.0)
    log_quanta, mean, _ = _moments()
    return (np.interp(np.log(quanta), log_quanta, mean) - np.log(counts)).astype(np.float32)


def log_variance(quanta: np.ndarray) -> np.ndarray:
    """The variance of `log_noise`."""
    log_quanta, _, variance = _moments()
    return np.exp(np.interp(np.log(quanta), log_quanta, np.log(variance)))


@cache
def _moments() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and variance of ln n for a list of ln N, over quantiles of the normal distribution."""
    log_quanta = np.linspace(np.log(1e-3), np.log(1e9), 600)
    n, white = np.exp(log_quanta)[:, None], ndtri((np.arange(2000) + 0.5) / 2000)
    logs = np.log(np.maximum(n + np.sqrt(n + ELECTRONICS**2) * white, 1.0))
    return log_quanta, logs.mean(axis=1), logs.var(axis=1)
