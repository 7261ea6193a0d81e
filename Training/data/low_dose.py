"""Simulated low-dose CT: photon noise put into the sinogram and reconstructed, so it looks and correlates as
CT noise does.

A ray that crosses the body with the path attenuation p = ∫µ dl meets the detector with N = N₀·e^{−p} quanta. Its
measured p then has the variance of counting quanta plus that of the electronics (the Gaussian limit of −ln(N/N₀)):

    var(p) = 1/N + σₑ²/N²

Filtered back-projection is linear, so the noise alone is reconstructed and added: the anatomy stays as it was, voxel
for voxel, and the noise is correlated in plane and strongest along the thickest paths. Rays are parallel, as they are
after a scanner has rebinned its fan. Slices are independent: neighboring slices of a scan share hardly any noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from MedDiffFMLib.anatomy.tissue import body_mask
from MedDiffFMLib.errors import InputError

from .scanner import Scanner
from .store import Case, write_noise

VERSION = 1  # of the simulation: count up when the same seed gives other noise, so that no cache answers with the old
QUANTA = 1e5  # N₀, quanta a detector element would see without a patient; low, so that thick paths starve
ELECTRONICS = 10.0  # σₑ, in quanta
ANGLES = 600
PATH_ANGLES = 150  # path attenuation changes slowly with the angle: every fourth view is enough for a variance
SOFT_TISSUE_HU = (-50.0, 150.0)
NOISE_HU = 30.0  # of what a training store holds; crops scale it


def simulate_low_dose(
    hu: np.ndarray,
    pixel_mm: float,
    sigma_hu: float,
    seed: int = 0,
    kernel: str = "hann",
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """A CT as a scan with less dose would show it: `hu` plus noise of `sigma_hu`.

    hu: axial slices (Z, Y, X) in HU, pixels of `pixel_mm` in y and x. `sigma_hu` is the standard deviation of the
    added noise over the soft tissue of the body in all slices given; one factor scales the noise of all of them to it.
    `kernel` is the filter of the back-projection: "hann" (smooth, as soft-tissue kernels), "hamming", "cosine",
    "shepp-logan" or "ram-lak" (sharp). `progress(slices done, slices)` is called after each slice. Returns float32,
    same shape, nothing below −1024 HU, as scanners store it. InputError if there is no soft tissue to set the noise
    by, or if astra-toolbox is missing.
    """
    noise = calibrate(low_dose_noise(hu, pixel_mm, seed, kernel, progress), hu, sigma_hu)
    return np.maximum(hu + noise, np.float32(-1024))


def simulate_noise(case: Case, seed: int = 0) -> bool:
    """Give a case of a training store noise of low dose of `NOISE_HU`; False if it has some or was given in part.

    InputError unless the case is on its scan's own axial slices with square pixels.
    """
    _, y, x = case.facts.spacing
    if case.noise is not None or case.coverage is not None:
        return False
    if not math.isclose(x, y, rel_tol=1e-3):
        raise InputError(
            f"Low dose is simulated in square pixels, but those of {case.facts.name} are {x:g} × {y:g} mm."
        )
    hu = case.hu.box().astype(np.float32)
    write_noise(case, calibrate(low_dose_noise(hu, x, seed), hu, NOISE_HU))
    return True


def low_dose_noise(
    hu: np.ndarray,
    pixel_mm: float,
    seed: int = 0,
    kernel: str = "hann",
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """The noise alone, before its strength is set (see `calibrate`). Arguments as in `simulate_low_dose`.

    The noise of slice z depends on that slice, on `seed` and on z only. Returns float32 (Z, Y, X), HU at N₀ quanta.
    """
    if hu.ndim != 3:
        raise InputError(f"Low dose is simulated in axial slices (z, y, x), but the image has {hu.ndim} axes.")
    scanner = Scanner(hu.shape[1:], pixel_mm, kernel)
    noise = np.empty(hu.shape, dtype=np.float32)
    for z, one_slice in enumerate(hu):
        noise[z] = _noise_of_slice(scanner, one_slice, np.random.default_rng([seed, z]))
        if progress:
            progress(z + 1, len(hu))
    return noise


def calibrate(noise: np.ndarray, hu: np.ndarray, sigma_hu: float) -> np.ndarray:
    """`noise` scaled by one factor, so that its standard deviation over the soft tissue of the body in `hu` is
    `sigma_hu`.

    Both (Z, Y, X). InputError if the image holds no soft tissue (−50 … 150 HU) or sigma_hu is not positive.
    """
    if not sigma_hu > 0:
        raise InputError(f"The noise to simulate must be a positive number of HU, but it is {sigma_hu}.")
    soft = body_mask(hu) & (hu > SOFT_TISSUE_HU[0]) & (hu < SOFT_TISSUE_HU[1])
    if np.count_nonzero(soft) < 100:
        raise InputError("The image has no soft tissue to set the noise by; give a CT of a body in HU.")
    return noise * np.float32(sigma_hu / noise[soft].std())


def _noise_of_slice(scanner: Scanner, hu: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The noise image of one slice (Y, X) in HU at N₀ quanta. Returns float32 (Y, X), HU."""
    sigma = np.sqrt(ray_variance(scanner.path_attenuation(hu, PATH_ANGLES)))
    sigma = np.repeat(sigma, ANGLES // PATH_ANGLES, axis=0)
    return scanner.reconstruct(sigma * rng.standard_normal(sigma.shape, dtype=np.float32))


def ray_variance(path: np.ndarray) -> np.ndarray:
    """The variance of each ray: var(p) = 1/N + σₑ²/N² with N = N₀·e^{−p} quanta, never less than one. Same shape as
    `path`, float32.
    """
    quanta = np.maximum(QUANTA * np.exp(-path), 1.0)
    return 1 / quanta + (ELECTRONICS / quanta) ** 2
