"""The two codes of anatomy, "bits" and "masks": what the networks see of a label map.

118 binary masks (the paper's: TotalSegmentator's 117 classes and the body) take 944 MB in a 128³ window; the bits of
the label say the same in 7 planes (56 MB). Both are made per window, and the masks only some at a time.
"""

from __future__ import annotations

import torch
from torch.utils.checkpoint import checkpoint

from ..anatomy.classes import BODY, CODE_PLANES

PLANES = {"bits": CODE_PLANES, "masks": BODY}
MASKS_AT_ONCE = 8  # 64 MB in a 128³ window


def encode_labels(labels: torch.Tensor) -> torch.Tensor:
    """The 7-plane code of a label map: plane k is bit k of the label, as 0 or 1.

    labels: integer, shape (..., Z, Y, X), values 0–121. Returns float32, shape (..., 7, Z, Y, X).
    """
    bits = torch.arange(CODE_PLANES, device=labels.device).view(-1, 1, 1, 1)
    return ((labels.unsqueeze(-4).to(torch.int32) >> bits) & 1).float()


class MaskConvolution(torch.nn.Module):
    """A network's first convolution, which takes the last of its inputs, 118 binary masks, as one label map.

    Mask k holds the voxels of label k; what this project's thresholds add to the paper's classes (lung, bone and gas,
    119 to 121) is body, 118. Masks of labels that a tile does not hold are zero and are not computed; the others are
    made a few at a time, in training once more for the gradient, so that memory stays bounded.
    """

    def __init__(self, convolution: torch.nn.Conv3d):
        super().__init__()
        self.conv = convolution  # under the name that it has in MONAI's block, so that weights keep theirs

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The convolution of the other channels and of the masks. inputs (B, C, Z, Y, X): the other channels, then the
        label map.
        """
        weight, others = self.conv.weight, inputs.shape[1] - 1
        labels = inputs[:, others:].round().clamp(max=BODY)
        total = self._convolve(inputs[:, :others], weight[:, :others]) + self.conv.bias.view(1, -1, 1, 1, 1)
        present = labels.unique().long()
        present = present[present > 0]
        for numbers_at_once in present.split(MASKS_AT_ONCE) if len(present) else ():
            kernel = weight[:, others - 1 + numbers_at_once]
            total = total + checkpoint(self._convolve_masks, labels, kernel, numbers_at_once, use_reentrant=False)
        return total

    def _convolve_masks(self, labels: torch.Tensor, kernel: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """The convolution of the masks of some labels."""
        return self._convolve((labels == numbers.view(1, -1, 1, 1, 1)).to(kernel.dtype), kernel)

    def _convolve(self, planes: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv3d(planes, kernel, padding=self.conv.padding)
