"""The rule for findings in an anomaly map, shared by the task and the panel that moves its threshold.

numpy and the standard library only, since a panel imports it in Slicer's own Python.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BRIGHTER, DARKER = 1, 2
TOUCHING = np.ones((3, 3, 3), bool)  # voxels of one finding share faces, edges or corners


@dataclass(frozen=True)
class Threshold:
    """The rule for findings: a voxel of the organ belongs to one from `limit` HU on, counted from `center`, the organ's
    own level.

    brighter, darker: the sides that are asked for.
    """

    center: float
    limit: float
    brighter: bool = True
    darker: bool = True

    @property
    def signed(self) -> bool:
        """Whether both sides count."""
        return self.brighter and self.darker

    def sides(self, deviation: np.ndarray, organ: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """The sides that count, BRIGHTER and DARKER, each with the voxels of its findings, bool. deviation: HU; organ:
        bool.
        """
        away, sides = deviation - self.center, []
        if self.brighter:
            sides.append((BRIGHTER, organ & (away >= self.limit)))
        if self.darker:
            sides.append((DARKER, organ & (away <= -self.limit)))
        return sides


def is_large(voxels: np.ndarray | int, voxel_ml: float, smallest_ml: float) -> np.ndarray | bool:
    """Whether a number of voxels has at least the volume `smallest_ml`; a rounding error in the volume of a voxel does
    not decide.
    """
    return voxels * voxel_ml >= smallest_ml * (1 - 1e-9)
