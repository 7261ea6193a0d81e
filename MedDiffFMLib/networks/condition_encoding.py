"""The encoding of position and anatomy as input channels of the networks (paper, III-B and III-C; its ablation, Table
III).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..errors import InputError
from .anatomy_code import PLANES, encode_labels
from .position import coordinate_channels, encode_position

POSITIONS = ("none", "coordinates", "encoding")  # without; p_c [paper eq. 5]; PE(p_c) [paper eq. 6]


@dataclass(frozen=True)
class ConditionEncoding:
    """The form in which networks take position and anatomy. InputError for an unknown form.

    position: one of POSITIONS. frequencies: L of the encoding, which the paper does not state. anatomy: "masks", the
    paper's 118 binary masks, or "bits", the bits of the label, in a sixteenth of the memory.
    """

    position: str = "encoding"
    frequencies: int = 4
    anatomy: str = "bits"

    def __post_init__(self):
        for name, value, known in (("position", self.position, POSITIONS), ("anatomy_code", self.anatomy, PLANES)):
            if value not in known:
                raise InputError(f"network.{name} is {value!r} and must be {' or '.join(known)}: correct it.")

    @property
    def position_channels(self) -> int:
        """The number of channels of a position."""
        return {"none": 0, "coordinates": 3, "encoding": 6 * self.frequencies}[self.position]

    @property
    def anatomy_channels(self) -> int:
        """The number of channels of an anatomy: of "masks" one, the label map (see `anatomy_code.MaskConvolution`)."""
        return 1 if self.anatomy == "masks" else PLANES[self.anatomy]

    @property
    def input_planes(self) -> int:
        """The number of planes that the first convolution has weights for: x_t, then position, then anatomy."""
        return 1 + self.position_channels + PLANES[self.anatomy]

    def of_position(self, px: torch.Tensor, py: torch.Tensor, pz: torch.Tensor) -> torch.Tensor:
        """Position channels (C, Z, Y, X), float32, on the grid of the coordinates (X,), (Y,), (Z,) in [-1, 1]."""
        if self.position == "none":
            return torch.empty((0, len(pz), len(py), len(px)), device=px.device)
        if self.position == "coordinates":
            return coordinate_channels(px, py, pz)
        return encode_position(px, py, pz, self.frequencies)

    def of_anatomy(self, labels: torch.Tensor) -> torch.Tensor:
        """Anatomy channels (C, Z, Y, X), float32, of a label map (Z, Y, X), 0–121."""
        return labels[None].float() if self.anatomy == "masks" else encode_labels(labels)
