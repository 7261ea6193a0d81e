"""Patches of clean CT with noise added, and what the restorer is told of them: the training data of `learn.restore`.

What counts as clean: dead leaves (`dead_leaves`); scans binned 2 × 2 to 4 × 4 in plane, which leaves them little noise
and makes anatomy finer on the grid; and scans as they are. Noise is drawn anew for every patch, never weaker than twice
what the truth has itself, so that its own is hardly ever the question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from MedDiffFMLib.anatomy.tissue import DENSE_HU
from MedDiffFMLib.refinement.noise_inputs import NEIGHBORS, NoiseInputs
from MedDiffFMLib.refinement.noise_map import LEAST, NoiseMap, grain, high_pass, local_noise

from .faint_discs import plant_discs
from .store import Case

OWN_NOISE = 2.0  # noise is at least so many times that of the truth
BINNED = {1: 1.0, 2: 1.5}  # by slices that are averaged: how many times less noise that leaves, per pixel of an edge
WIDE, BROADEST_MM = (2, 2, 3, 4), 3.0  # pixels along an edge of a bin, as often as here, where they stay that narrow
THICKEST_MM = 6.0  # slices are averaged too where they stay thinner than this
ERROR_OF_SIGMA, ERROR_OF_GRAIN = 0.15, 0.15  # of the logarithms: neither is known exactly
CLIPPED = 0.7  # share of patches without HU below −1024, as most scanners store them
TRIES = 6  # for a crop with enough body


class NoiseSource(Protocol):
    """A bank of noise or a generator."""

    def draw(
        self, rng: np.random.Generator, hu: np.ndarray, spacing: tuple[float, float, float], sigma_hu: float
    ) -> np.ndarray:
        """Noise of sigma_hu for an image hu (Z, Y, X): float32, same shape."""


@dataclass(frozen=True)
class MixedNoise:
    """Noise of one source, and for a share of the draws of another."""

    usual: NoiseSource
    other: NoiseSource
    share: float

    def draw(
        self, rng: np.random.Generator, hu: np.ndarray, spacing: tuple[float, float, float], sigma_hu: float
    ) -> np.ndarray:
        """See `NoiseSource`."""
        source = self.other if rng.random() < self.share else self.usual
        return source.draw(rng, hu, spacing, sigma_hu)


@dataclass(frozen=True)
class PatchConfig:
    """The settings of patches. edge: pixels; centers: slices of one patch that are restored, with their neighbors
    beside them; sources: shares of dead leaves, binned scans, scans as they are; sigma_hu: limits of a log-uniform σ.
    """

    edge: int = 96
    centers: int = 2
    sources: tuple[float, float, float] = (0.35, 0.35, 0.3)
    sigma_hu: tuple[float, float] = (4.0, 100.0)
    relative: float = 0.3  # share of patches that tell neither HU nor σ
    discs: float = 0.05  # share of patches with faint discs planted in the truth


@dataclass(frozen=True)
class Truth:
    """A clean image hu (Z, Y, X) and the noise that it may have itself, in HU."""

    hu: np.ndarray
    spacing: tuple[float, float, float]
    noise_hu: float


@dataclass(frozen=True)
class Patch:
    """A patch (n slices): features (n, INPUTS, Y, X), and (n, Y, X) each: the noise in units of σ(x) that is to be
    found, the truth in HU, and how much a pixel counts.
    """

    features: torch.Tensor
    noise: torch.Tensor
    truth: torch.Tensor
    emphasis: torch.Tensor


class PatchSource:
    """The clean volumes to draw from: scans, each with a share, and dead leaves."""

    def __init__(self, scans: Sequence[tuple[Case, float]], leaves: Sequence[Case], noise: NoiseSource):
        self.scans, self.leaves, self.noise = [case for case, _ in scans], leaves, noise
        shares = np.array([share for _, share in scans], float)
        self.shares = shares / shares.sum() if len(shares) else shares

    def truth(self, rng: np.random.Generator, config: PatchConfig) -> Truth:
        """A clean image with room for the centers' neighbors, mirrored and turned at random."""
        shape = (config.centers + 2 * NEIGHBORS, config.edge, config.edge)
        kind = rng.choice(3, p=np.array(config.sources) / sum(config.sources))
        if kind == 0:
            case = self.leaves[rng.integers(len(self.leaves))]
            found = Truth(_anywhere(rng, case, shape), case.facts.spacing, 0.0)
        else:
            case = self.scans[rng.choice(len(self.scans), p=self.shares)]
            found = _binned(rng, case, shape) if kind == 1 else _as_is(rng, case, shape)
        return Truth(_turned(rng, found.hu), found.spacing, found.noise_hu)

    def patch(self, rng: np.random.Generator, config: PatchConfig) -> Patch:
        """A patch with noise of its own."""
        truth = self.truth(rng, config)
        low, high = config.sigma_hu
        least = min(max(low, OWN_NOISE * truth.noise_hu), 0.9 * high)
        sigma_hu = float(np.exp(rng.uniform(np.log(least), np.log(high))))
        hu, emphasis = truth.hu, np.ones_like(truth.hu)
        if rng.random() < config.discs:
            hu, emphasis = plant_discs(rng, hu, truth.spacing)
        noise = self.noise.draw(rng, hu, truth.spacing, sigma_hu)
        y = np.maximum(hu + noise, -1024) if rng.random() < CLIPPED else hu + noise
        return _as_patch(rng, config, y, Truth(hu, truth.spacing, truth.noise_hu), emphasis)


def _as_patch(
    rng: np.random.Generator, config: PatchConfig, y: np.ndarray, truth: Truth, emphasis: np.ndarray
) -> Patch:
    seen, clean = torch.from_numpy(y), torch.from_numpy(truth.hu)
    sigma, fineness = noise_told(rng, seen, seen - clean, truth.spacing)
    inputs = NoiseInputs(seen, sigma, fineness, truth.spacing, absolute=rng.random() >= config.relative)
    z = torch.arange(NEIGHBORS, NEIGHBORS + config.centers)
    noise = (seen[z] - clean[z]) / sigma.at(z)
    return Patch(inputs.features(z), noise, clean[z], torch.from_numpy(emphasis)[z])


def noise_told(
    rng: np.random.Generator, y: torch.Tensor, noise: torch.Tensor, spacing: tuple[float, float, float]
) -> tuple[NoiseMap, float]:
    """σ(x) and grain as `noise_map.scan_noise` would find them, about: the map measured in the noisy image y, its level
    and the grain those of the noise itself with an error.
    """
    errors = np.exp(rng.normal(0, (ERROR_OF_SIGMA, ERROR_OF_GRAIN)))
    level = float(noise.square().mean().sqrt().clamp(min=0.1))
    above = float(high_pass(noise, spacing).square().mean().sqrt().clamp(min=1e-3))
    sigma = local_noise(y, spacing).scaled(float(errors[0]) * level / above, LEAST * level)
    return sigma, float(np.clip(grain(noise) * errors[1], 0.05, 1.5))


def _anywhere(rng: np.random.Generator, case: Case, shape: tuple[int, int, int]) -> np.ndarray:
    """A part of a volume, wherever it lies; beyond its ends the end slices and pixels are repeated."""
    start = [int(rng.integers(max(n - m, 0) + 1)) for n, m in zip(case.hu.shape, shape, strict=True)]
    part = case.hu[tuple(slice(s, min(s + m, n)) for s, m, n in zip(start, shape, case.hu.shape, strict=True))]
    lacking = [(0, m - n) for m, n in zip(shape, part.shape, strict=True)]
    return np.pad(part, lacking, mode="edge").astype(np.float32)


def _as_is(rng: np.random.Generator, case: Case, shape: tuple[int, int, int]) -> Truth:
    return Truth(_in_body(rng, case, shape), case.facts.spacing, case.facts.noise_hu)


def _binned(rng: np.random.Generator, case: Case, shape: tuple[int, int, int]) -> Truth:
    """2 × 2 pixels to 4 × 4, and in half of the draws two slices, averaged."""
    dz, dy, dx = case.facts.spacing
    deep = 2 if 2 * dz <= THICKEST_MM and rng.random() < 0.5 else 1
    wide = int(rng.choice([n for n in WIDE if n * dy <= BROADEST_MM] or WIDE[:1]))
    whole = _in_body(rng, case, (shape[0] * deep, shape[1] * wide, shape[2] * wide))
    hu = whole.reshape(shape[0], deep, shape[1], wide, shape[2], wide).mean(axis=(1, 3, 5))
    return Truth(hu, (dz * deep, dy * wide, dx * wide), case.facts.noise_hu / (BINNED[deep] * wide))


def _in_body(rng: np.random.Generator, case: Case, shape: tuple[int, int, int]) -> np.ndarray:
    """A part of a scan, a third of it body if such a one is found soon. Slices that a scan lacks are mirrored ones; in
    plane there is air.
    """
    (z0, z1), *plane = case.body_box
    deep = min(shape[0], z1 - z0)
    for _ in range(TRIES):
        first = z0 + int(rng.integers(z1 - z0 - deep + 1))
        corner = [int(rng.integers(*ends)) - n // 2 for ends, n in zip(plane, shape[1:], strict=True)]
        hu = _framed(case, (first, *corner), (deep, *shape[1:]))
        if np.count_nonzero(hu > DENSE_HU) > hu.size / 3:
            break
    return hu if deep == shape[0] else np.pad(hu, ((0, shape[0] - deep), (0, 0), (0, 0)), mode="symmetric")


def _framed(case: Case, start: tuple[int, int, int], size: tuple[int, int, int]) -> np.ndarray:
    """A box of a scan, float32, that may reach beyond it."""
    hu = np.full(size, case.geometry.air_hu, np.float32)
    have = [(max(a, 0), min(a + n, whole)) for a, n, whole in zip(start, size, case.hu.shape, strict=True)]
    target = tuple(slice(low - a, high - a) for (low, high), a in zip(have, start, strict=True))
    hu[target] = case.hu[tuple(slice(*ends) for ends in have)]
    return hu


def _turned(rng: np.random.Generator, hu: np.ndarray) -> np.ndarray:
    """Mirrored along any axes, rows and columns exchanged in half of the draws."""
    hu = np.flip(hu, [axis for axis in range(3) if rng.random() < 0.5])
    return np.ascontiguousarray(hu.swapaxes(1, 2) if rng.random() < 0.5 else hu)
