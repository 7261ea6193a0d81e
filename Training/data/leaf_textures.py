"""Textures of dead leaves: tiles of noise made once a volume, from which each leaf takes a part of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

EDGE = 64  # voxels of a tile, which repeats
STRENGTH_HU = (3.0, 25.0)
TRABECULAE_HU = (300.0, 700.0)
SLOPES = (1.5, 2.5, 3.5)  # β of the power spectra 1/f^β


class Textures:
    """The tiles of a volume, of unit standard deviation: rough to smooth grain, and a mesh of beams."""

    def __init__(self, rng: np.random.Generator):
        along = np.fft.fftfreq(EDGE) ** 2
        f = np.sqrt(along[:, None, None] + along[:, None] + along)
        white = np.fft.fftn(rng.standard_normal((EDGE,) * 3, dtype=np.float32))
        self.tiles = [_tile(white * np.maximum(f, 1 / EDGE) ** (-slope / 2)) for slope in SLOPES]
        self.mesh = _tile(white * np.exp(-(((f - rng.uniform(0.08, 0.2)) / 0.05) ** 2)))

    def grain(self, rng: np.random.Generator) -> Callable[[tuple[slice, ...]], np.ndarray]:
        """What a leaf of grainy tissue adds to its HU in a box."""
        tile, size = self.tiles[rng.integers(len(self.tiles))], np.float32(rng.uniform(*STRENGTH_HU))
        start = rng.integers(EDGE, size=3)
        return lambda box: size * _part(tile, box, start)

    def trabeculae(self, rng: np.random.Generator, marrow_hu: float) -> Callable[[tuple[slice, ...]], np.ndarray]:
        """The HU of spongy bone in a box: beams in marrow, where the mesh lies above a threshold."""
        beams, start = np.float32(rng.uniform(*TRABECULAE_HU)), rng.integers(EDGE, size=3)
        density = rng.uniform(-1.2, 0.6)
        return lambda box: marrow_hu + beams * np.clip(2 * (_part(self.mesh, box, start) + density), 0, 1)


def _tile(spectrum: np.ndarray) -> np.ndarray:
    spectrum[0, 0, 0] = 0
    tile = np.fft.ifftn(spectrum).real
    return (tile / tile.std()).astype(np.float32)


def _part(tile: np.ndarray, box: tuple[slice, ...], start: np.ndarray) -> np.ndarray:
    return tile[np.ix_(*((np.arange(s.start, s.stop) + first) % EDGE for s, first in zip(box, start, strict=True)))]
