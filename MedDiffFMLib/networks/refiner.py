"""A refiner: a small U-Net over slices that predicts the error of an estimate. Trained on pairs; beyond the paper.

    x̂ = b + s·f(c)      b: an estimate made without it, s: how large its errors are, c: its inputs, slice by slice

The diffusion model knows what CT looks like, but neither a scanner's noise nor what thick slices hide in this scan; f
learns that from pairs. The neighbors of each slice are further channels, so that it costs what a network in 2D does.
See `refinement.low_dose` and `refinement.thick_slices`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..progress import part_counter

SLICES, SLICES_ON_GPU = 2, 8  # computed at once: more take memory, and on a processor not less time
COST = 0.5  # of a voxel in one orientation, see `NoisePredictor.worth`
MIRRORS = ((), (-1,), (-2,), (-2, -1))  # along no axis, x, y, both
ORIENTATIONS = tuple((turned, axes) for turned in (False, True) for axes in MIRRORS)  # turned: x and y exchanged


@dataclass(frozen=True)
class RefinerConfig:
    """The configuration of a refiner. kind: its inputs and what it refines; inputs: their channels; channels: of its
    three levels.
    """

    kind: str
    inputs: int
    channels: tuple[int, int, int] = (24, 48, 64)

    @classmethod
    def from_dict(cls, values: dict) -> RefinerConfig:
        return cls(values["kind"], values["inputs"], tuple(values["channels"]))


class Refiner(nn.Module):
    """The network f. Its last convolution starts at zero, so that a new one changes nothing."""

    def __init__(self, config: RefinerConfig):
        super().__init__()
        self.config = config
        first, second, third = config.channels
        self.enter = _convolution(config.inputs, first)
        self.down = nn.ModuleList([_convolution(first, second), _convolution(second, third)])
        self.stay = nn.ModuleList([_convolution(n, n) for n in (first, second, third, third)])
        self.up = nn.ModuleList([_convolution(second + third, second), _convolution(first + second, first)])
        self.end = nn.ModuleList([_convolution(second, second), _convolution(first, first)])
        self.leave = _convolution(first, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """f of features (slices, inputs, Y, X), any Y and X: (slices, Y, X)."""
        full = _add(self.stay[0], F.silu(self.enter(features)))
        half = _add(self.stay[1], F.silu(self.down[0](_halved(full))))
        quarter = _add(self.stay[3], _add(self.stay[2], F.silu(self.down[1](_halved(half)))))
        half = _add(self.end[0], F.silu(self.up[0](torch.cat([half, _doubled(quarter, half)], dim=1))))
        full = _add(self.end[1], F.silu(self.up[1](torch.cat([full, _doubled(half, full)], dim=1))))
        return self.leave(full)[:, 0]


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """3 × 3, its weights drawn so that signals keep their strength (He et al. 2015): PyTorch's own would fade."""
    layer = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer


def _add(layer: nn.Module, features: torch.Tensor) -> torch.Tensor:
    return features + F.silu(layer(features))


def _halved(features: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(features, 2, ceil_mode=True)


def _doubled(features: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return F.interpolate(features, size=like.shape[2:], mode="bilinear", align_corners=False)


def at(image: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """The slices z (n,) of an image (Z, Y, X); beyond its ends the end slices are repeated."""
    return image[z.clamp(0, len(image) - 1)]


def slice_groups(image: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The numbers of the slices of an image (Z, Y, X), in groups that are computed at once."""
    size = SLICES if image.device.type == "cpu" else SLICES_ON_GPU
    return torch.arange(len(image), device=image.device).split(size)


def apply_slabwise(
    refiner: Refiner,
    features: Callable[[torch.Tensor], torch.Tensor],
    like: torch.Tensor,
    mirrored: int,
    on_part: Callable[[int, int], None],
    spread: torch.Tensor | None = None,
) -> torch.Tensor:
    """f of every slice of an image of the shape of `like`, float32 (Z, Y, X), computed a few slices at once.

    features(z): the inputs of f for slices z. mirrored: over how many of `ORIENTATIONS` f is averaged; it was trained
    on all of them. `on_part(done, total)` is called after each of these few, and may raise to stop. spread: takes, if
    given, the standard deviation of f over the orientations, 0 where there is one; the mean is the same either way.
    """
    found = torch.empty_like(like, dtype=torch.float32)
    groups = slice_groups(like)
    chosen = ORIENTATIONS[:mirrored]
    tick = part_counter(on_part, len(groups) * len(chosen))
    for z in groups:
        channels, total, answers = features(z), torch.zeros_like(like[z]), []
        for turned, axes in chosen:
            image = (channels.mT if turned else channels).flip(axes).contiguous(memory_format=torch.channels_last)
            answer = refiner(image).float().flip(axes)
            answer = answer.mT if turned else answer
            total = total + answer / len(chosen)
            if spread is not None:
                answers.append(answer)
            tick()
        found[z] = total
        if spread is not None:
            spread[z] = torch.stack(answers).std(dim=0, correction=0)
    return found
