"""The 7-plane code of anatomy: what the networks see of a label map.

A one-hot of 118 channels takes 944 MB in a 128³ window; the bits of the label say the same in 7 planes (56 MB), and are
made per window, never for a whole volume.
"""

from __future__ import annotations

import torch

from ..anatomy.classes import CODE_PLANES


def encode_labels(labels: torch.Tensor) -> torch.Tensor:
    """The 7-plane code of a label map: plane k is bit k of the label, as 0 or 1.

    labels: integer, shape (..., Z, Y, X), values 0–121. Returns float32, shape (..., 7, Z, Y, X).
    """
    bits = torch.arange(CODE_PLANES, device=labels.device).view(-1, 1, 1, 1)
    return ((labels.unsqueeze(-4).to(torch.int32) >> bits) & 1).float()
