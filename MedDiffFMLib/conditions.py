"""What the network is told beside the noisy image: position, region and anatomy (paper, III-B and III-C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .anatomy import encode_labels
from .position import encode_position, window_axes


@dataclass(frozen=True)
class Conditions:
    """The conditions of a whole volume, from which those of a window are made when it is computed.

    labels: uint8 label map (Z, Y, X), RAS order, 0–118, on the grid of the volume. region: class index. placed:
    False where the volume's place in the body is unknown (then the position code is zero, as in training).
    """

    labels: np.ndarray
    region: int
    frequencies: int = 4
    placed: bool = True

    def window(
        self, start: Sequence[int], size: Sequence[int], device: torch.device | str = "cpu"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Position code (6L, z, y, x) and anatomy code (7, z, y, x) of the window at `start` of `size` voxels.

        They are made on `device`: the codes are thirty times as large as what they are made of.
        """
        where = tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))
        anatomy = encode_labels(torch.from_numpy(np.ascontiguousarray(self.labels[where])).to(device))
        axes = window_axes(self.labels.shape, start, size, (1, 1, 1))
        position = encode_position(*(axis.to(device) for axis in axes), self.frequencies)
        return (position if self.placed else torch.zeros_like(position)), anatomy
