"""The uncertainty of a result: how far the network's answers to mirrored and turned copies of a scan lie apart.

Where a result is the mean of several orientations, this is the standard deviation of what is averaged, in HU. It is no
error bar: an error that all orientations share does not show in it, and it is not calibrated
(Docs/evaluation-restoration.md has how it goes with the true error).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..anatomy.body_regions import RegionBlender, RegionSpan
from ..errors import InputError
from ..volumes.volume import Volume
from .facts import UncertaintyFacts


def check_orientations(orientations: int, model_name: str) -> None:
    """Check that there is a spread: InputError unless a result is the mean of two orientations or more."""
    if orientations < 2:
        raise InputError(
            f"The model {model_name} has no network here whose answers in several orientations are averaged, so there "
            "is no spread for --uncertainty: use another model, or leave it out."
        )


class Uncertainty:
    """The spread of a whole scan in HU, put together from those of its regions."""

    def __init__(self, shape: tuple[int, int, int], orientations: int):
        self.orientations, self._whole = orientations, RegionBlender(shape)

    def add(self, span: RegionSpan, spread: np.ndarray, kept: np.ndarray) -> None:
        """Blend in the spread of a region (Z, Y, X) in HU. kept: bool, where its result is the input itself."""
        spread[kept] = 0
        self._whole.add(span, spread)

    def on(self, grid: Callable[[np.ndarray], Volume]) -> Volume:
        """The spread as a volume, float32 in HU. grid: brings an array on the scan's frame onto the result's grid."""
        volume = grid(self._whole.values)
        return volume.with_voxels(np.maximum(volume.voxels, 0))  # cubic splines overshoot

    def facts(self, volume: Volume) -> UncertaintyFacts:
        """The facts of the spread, for the provenance, of the voxels above 0. volume: as `on` gives it."""
        spread = volume.voxels[volume.voxels > 0]
        middle, high = np.percentile(spread, (50, 95)) if spread.size else (0.0, 0.0)
        return UncertaintyFacts(self.orientations, round(float(middle), 3), round(float(high), 3))
