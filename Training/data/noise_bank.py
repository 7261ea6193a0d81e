"""Noise of low dose for any crop of CT, drawn from a bank of simulated noise (`bank_case`).

A draw takes a window of the noise of some case and dose, turned and mirrored at random, and gives it a kernel, a floor
at low frequencies, at times streaks, overlapping slices or the mark of iterative reconstruction. So it is not
stationary, runs along the long paths of a real patient, and is never the same twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from MedDiffFMLib.errors import InputError

from .bank_case import Draw
from .low_dose import SOFT_TISSUE_HU
from .noise_texture import (
    OVERLAP,
    PINK_PER_MM,
    Kernel,
    Streaks,
    filtered,
    frequencies,
    iterative,
    log_strength,
    overlapped,
    pink_floor,
)

MARGIN = 8  # pixels around a crop, so that filtering in the Fourier plane joins no opposite edges
OVERLAPPING, STREAKED, ITERATIVE = 0.5, 0.15, 0.2  # shares of the draws
LEAST_SOFT = 0.02  # of a crop: with less soft tissue, the body sets the noise
BODY_HU = -950.0  # above it is no air; lung is body


class BankedNoise:
    """The noise of one case and dose, read as it is needed."""

    def __init__(self, folder: Path):
        record = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        self.facts = Draw(**record | {"spacing": tuple(record["spacing"])})
        self.noise, self.strength = (
            np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("noise", "strength")
        )

    def window(self, rng: np.random.Generator, shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Noise and strength, float32, of a window of `shape` (Z, Y, X) around some place in the body, turned at
        random. What is larger than the case is mirrored.
        """
        turned = rng.random() < 0.5
        size = (shape[0], shape[2], shape[1]) if turned else tuple(shape)
        room = [have - n for have, n in zip(self.noise.shape, size, strict=True)]
        first = [int(rng.integers(min(more, 0), max(more, 0) + 1)) for more in room]
        z, y, x = (f + np.arange(n) for f, n in zip(first, size, strict=True))
        depth, height, width = self.noise.shape
        index = np.ix_(z % depth, mirrored(y, height), mirrored(x, width))
        flips = tuple(slice(None, None, int(rng.choice((-1, 1)))) for _ in range(3))
        images = [np.asarray(image[index], np.float32) for image in (self.noise, self.strength)]
        for image in images:
            image[z // depth % 2 != 0] = image[z // depth % 2 != 0, ::-1]  # no slice meets itself again soon
        images = [image[flips] for image in images]
        return tuple(image.transpose(0, 2, 1) if turned else image for image in images)


def mirrored(index: np.ndarray, count: int) -> np.ndarray:
    """Indices of any size folded into 0 … count − 1, as between two mirrors."""
    folded = index % (2 * count)
    return np.where(folded < count, folded, 2 * count - 1 - folded)


class NoiseBank:
    """A folder of simulated noise, written by `meddiff-fm train noise-bank`. InputError if it holds none."""

    def __init__(self, folder: Path):
        found = sorted(Path(folder).glob("[!.]*/facts.json"))
        if not found:
            raise InputError(f"{folder} holds no noise: make some with meddiff-fm train noise-bank STORE {folder}.")
        self.cases = [BankedNoise(file.parent) for file in found]

    def draw(self, rng: np.random.Generator, hu: np.ndarray, spacing: Sequence[float], sigma_hu: float) -> np.ndarray:
        """Noise of low dose for a crop of CT, float32 (Z, Y, X), in HU.

        hu: the clean crop; spacing (z, y, x) in mm. Its standard deviation over the crop's soft tissue (where there is
        hardly any, over the body, else the whole crop) is `sigma_hu`.
        """
        source = self.cases[rng.integers(len(self.cases))]
        nonlinear = rng.random() < ITERATIVE
        size = (hu.shape[0] + 2, *(n + 2 * MARGIN for n in hu.shape[1:]))
        noise, strength = source.window(rng, size)
        noise = filtered(noise, self._amplitude(rng, noise.shape[1:], spacing[1], nonlinear))
        inner = (slice(None), slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
        share = rng.uniform(0, OVERLAP) if rng.random() < OVERLAPPING else 0.0
        noise = overlapped(noise[inner], np.float32(share))
        noise = moved(noise, strength[inner][1:-1], log_strength(hu, spacing[1]))
        return scaled(iterative(noise, hu) if nonlinear else noise, hu, sigma_hu)

    def _amplitude(self, rng: np.random.Generator, shape: tuple[int, int], pixel_mm: float, coarse: bool) -> np.ndarray:
        """A kernel, a floor and at times streaks, as one factor for `rfft2`."""
        f, direction = frequencies(*shape)
        amplitude = Kernel.draw(rng, coarse).amplitude(f) * pink_floor(f, rng.uniform(0, PINK_PER_MM) * pixel_mm)
        return amplitude * Streaks.draw(rng).amplitude(direction) if rng.random() < STREAKED else amplitude


def moved(noise: np.ndarray, there: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Noise of one anatomy brought to another, by the ratio e^{here − there} of the strengths that theirs foretell."""
    return noise * np.exp(here - there)


def scaled(noise: np.ndarray, hu: np.ndarray, sigma_hu: float) -> np.ndarray:
    """Noise times one factor, so that its standard deviation over the soft tissue, the body or all is `sigma_hu`."""
    soft = (hu > SOFT_TISSUE_HU[0]) & (hu < SOFT_TISSUE_HU[1])
    regions = (soft, hu > BODY_HU, np.ones(hu.shape, bool))
    region = next(region for region in regions if region.mean() >= LEAST_SOFT)
    return (noise * np.float32(sigma_hu / noise[region].std())).astype(np.float32, copy=False)
