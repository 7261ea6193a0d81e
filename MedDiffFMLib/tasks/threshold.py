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
    """A voxel of the organ belongs to a finding from `limit` HU on, counted from `centre`, the organ's own level.

    brighter, darker: the sides that are asked for.
    """

    centre: float
    limit: float
    brighter: bool = True
    darker: bool = True

    @property
    def signed(self) -> bool:
        """Whether both sides count."""
        return self.brighter and self.darker

    def sides(self, deviation: np.ndarray, organ: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """BRIGHTER or DARKER with the voxels of that side's findings, bool. deviation: HU; organ: bool."""
        away, found = deviation - self.centre, []
        if self.brighter:
            found.append((BRIGHTER, organ & (away >= self.limit)))
        if self.darker:
            found.append((DARKER, organ & (away <= -self.limit)))
        return found


def is_large(voxels: np.ndarray | int, voxel_ml: float, smallest_ml: float) -> np.ndarray | bool:
    """Whether a number of voxels has at least the volume `smallest_ml`; a rounding error in the volume of a voxel does
    not decide.
    """
    return voxels * voxel_ml >= smallest_ml * (1 - 1e-9)
