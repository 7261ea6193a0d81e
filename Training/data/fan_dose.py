"""The second simulator of low dose, for evaluations alone: another geometry than what noise is trained on (fan beam), a
bowtie, and as many quanta as give the noise that is asked for. Nothing is scaled, so a low dose starves thick paths.

σ² in HU is g²·Σ w·var(N) / Σ w over all rays: w is how much soft tissue a ray crosses, g the noise in HU that rays of
unit variance leave (filtered back-projection is linear, and its kernel narrow beside the body). N₀ is found by
bisection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from MedDiffFMLib.errors import InputError

from .fan_beam import VIEWS, FanScanner
from .low_dose import soft_tissue
from .quanta import bowtie, expected_quanta, log_noise, log_variance

VERSION = 1  # of the simulation: count up when the same seed gives other noise, so that no cache answers with the old
FAN_SEEDS = 0x66616E  # the seeds of this simulator: none of them is one of training
KERNELS = ("hann", "shepp-logan", "ram-lak")  # soft, standard, sharp
PATH_VIEWS = 180
BOWTIE_MM = 140.0
RANGE = (1e1, 1e10)  # where N₀ is looked for
SCANNERS = (2e4, 1e6)  # what scanners have
SAMPLED = 8  # slices that N₀ is found by


@dataclass(frozen=True)
class Exposure:
    """The path attenuations of some slices (views, elements), and the soft tissue that each ray crosses, in mm."""

    paths: np.ndarray
    soft_mm: np.ndarray

    def variance(self, n0: float, air: np.ndarray) -> float:
        """The mean variance of the rays through soft tissue: Σ w·var(N) / Σ w."""
        return float(np.average(log_variance(expected_quanta(self.paths, n0, air)), weights=self.soft_mm))


def simulate_by_fan(
    hu: np.ndarray,
    pixel_mm: float,
    sigma_hu: float,
    seed: int = 0,
    kernel: str = "hann",
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """A CT as a scan with less dose would show it; arguments and result as of `low_dose.simulate_low_dose`, noise
    within some percent of `sigma_hu`. The noise of slice z depends on all slices by N₀, on `seed` and on z.
    """
    if hu.ndim != 3:
        raise InputError(f"Low dose is simulated in axial slices (z, y, x), but the image has {hu.ndim} axes.")
    soft = soft_tissue(hu, sigma_hu)
    scanner = FanScanner(hu.shape[1:], pixel_mm, kernel)
    n0 = solve_quanta(scanner, hu, soft, sigma_hu)
    air = bowtie(scanner.offsets_mm, BOWTIE_MM)
    low = np.empty(hu.shape, np.float32)
    for z, one in enumerate(hu):
        quanta = expected_quanta(scanner.path_attenuation(one, PATH_VIEWS), n0, air)
        quanta = np.repeat(quanta, VIEWS // PATH_VIEWS, axis=0)
        white = np.random.default_rng([FAN_SEEDS, seed, z]).standard_normal(quanta.shape, dtype=np.float32)
        low[z] = one + scanner.reconstruct(log_noise(quanta, white))
        if progress:
            progress(z + 1, len(hu))
    return np.maximum(low, np.float32(-1024))


def solve_quanta(scanner: FanScanner, hu: np.ndarray, soft: np.ndarray, sigma_hu: float) -> float:
    """N₀, the quanta of a ray on the axis without a patient, that leave noise of `sigma_hu` in the soft tissue.

    hu, soft (bool): (Z, Y, X). InputError if no number of quanta does.
    """
    most = [int(z) for z in np.unique(np.linspace(0, len(hu) - 1, SAMPLED).round()) if soft[int(z)].any()]
    exposure, air = expose(scanner, hu[most], soft[most]), bowtie(scanner.offsets_mm, BOWTIE_MM)
    gain = unit_noise(scanner, soft[most].any(axis=0))
    low, high = np.log(RANGE)
    if not exposure.variance(RANGE[1], air) < (sigma_hu / gain) ** 2 < exposure.variance(RANGE[0], air):
        raise InputError(f"No dose gives this CT noise of {sigma_hu:g} HU: ask for another.")
    for _ in range(40):
        middle = (low + high) / 2
        too_noisy = exposure.variance(np.exp(middle), air) > (sigma_hu / gain) ** 2
        low, high = (middle, high) if too_noisy else (low, middle)
    return float(np.exp((low + high) / 2))


def expose(scanner: FanScanner, hu: np.ndarray, soft: np.ndarray, views: int = 60) -> Exposure:
    """The exposure of slices (Z, Y, X) and their soft tissue."""
    paths = [scanner.path_attenuation(one, views) for one in hu]
    return Exposure(np.concatenate(paths), np.concatenate([scanner.path_integral(one, views) for one in soft]))


def unit_noise(scanner: FanScanner, where: np.ndarray) -> float:
    """g: the standard deviation in HU, over the pixels `where` (Y, X), that rays of unit variance leave."""
    white = np.random.default_rng(FAN_SEEDS).standard_normal((VIEWS, scanner.elements), dtype=np.float32)
    return float(scanner.reconstruct(white)[where].std())
