"""The uncertainty of a result: how far the network's answers to mirrored and turned copies of a scan lie apart.

Where a result is the mean of several orientations, this is the standard deviation of what is averaged, in HU. It is no
error bar: an error that all orientations share does not show in it, and it is not calibrated
(Docs/evaluation-restoration.md has how it goes with the true error).
"""

from __future__ import annotations

import numpy as np

from ..anatomy.body_regions import RegionBlender, RegionSpan
from ..errors import InputError
from ..volumes.frame import Frame
from ..volumes.volume import Volume
from .facts import UncertaintyFacts


def check_orientations(orientations: int, model_name: str) -> None:
    """Check that there is a spread: InputError unless a result is the mean of two orientations or more."""
    if orientations < 2:
        raise InputError(
            f"The model {model_name} answers in one orientation here, so there is no spread for --uncertainty: choose "
            "--quality balanced, another model, or leave it out."
        )


class Uncertainty:
    """The spread of a whole scan in HU, put together from those of its regions."""

    def __init__(self, shape: tuple[int, int, int], orientations: int):
        self.orientations, self._whole = orientations, RegionBlender(shape)

    def add(self, span: RegionSpan, spread: np.ndarray, kept: np.ndarray) -> None:
        """Blend in the spread of a region (Z, Y, X) in HU. kept: bool, where its result is the input itself."""
        spread[kept] = 0
        self._whole.add(span, spread)

    def volume(self, frame: Frame, share: float) -> Volume:
        """The spread on the grid of the frame's source, float32 in HU, times the share of the change that is made."""
        restored = np.maximum(frame.restore(self._whole.values, outside=0), 0)  # cubic splines overshoot
        return frame.source.with_voxels(restored * np.float32(share))

    def facts(self, volume: Volume) -> UncertaintyFacts:
        """Its facts, for the provenance. volume: as `volume` gives it."""
        return uncertainty_facts(volume, self.orientations)


def uncertainty_facts(volume: Volume, orientations: int) -> UncertaintyFacts:
    """The facts of an uncertainty in HU, of its voxels above 0."""
    spread = volume.voxels[volume.voxels > 0]
    middle, high = np.percentile(spread, (50, 95)) if spread.size else (0.0, 0.0)
    return UncertaintyFacts(orientations, round(float(middle), 3), round(float(high), 3))
