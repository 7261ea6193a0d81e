"""The restorer: a U-Net that predicts a scan's noise in a slice, from it and its neighbors; beyond the paper.

It works at half of the resolution and below, on 2 × 2 pixels as channels: there convolutions are quick on a processor,
and four levels see more than 100 pixels far. Slices are channels, so that it costs what a network in 2D does. Inputs
and how its output is used: `refinement.noise_inputs`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

CHANNELS = (48, 64, 96, 128)


@dataclass(frozen=True)
class RestorerConfig:
    """The configuration of a restorer. inputs: channels of its features; channels: of its levels, at 1/2, 1/4, 1/8
    and 1/16 of the resolution; blocks: residual blocks a level.
    """

    inputs: int
    channels: tuple[int, ...] = CHANNELS
    blocks: int = 1

    @property
    def multiple(self) -> int:
        """What Y and X of its features must be multiples of."""
        return 2 ** len(self.channels)

    @classmethod
    def from_dict(cls, values: dict) -> RestorerConfig:
        return cls(values["inputs"], tuple(values["channels"]), values["blocks"])


class Restorer(nn.Module):
    """The network. Its last convolution starts at zero, so that a new one finds no noise and changes nothing."""

    def __init__(self, config: RestorerConfig):
        super().__init__()
        self.config = config
        widths, n = config.channels, config.blocks
        self.enter = _convolution(4 * config.inputs, widths[0])
        self.before = nn.ModuleList([_blocks(width, n) for width in widths])
        self.down = nn.ModuleList([_halving(a, b) for a, b in pairwise(widths)])
        self.up = nn.ModuleList([_doubling(b, a) for a, b in pairwise(widths)])
        self.after = nn.ModuleList([_blocks(width, n) for width in widths[:-1]])
        self.leave = nn.Conv2d(widths[0], 4, kernel_size=3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """The noise, in units of σ, of features (slices, inputs, Y, X): (slices, Y, X). Y and X must be multiples of
        `config.multiple`; see `on_any_size`.
        """
        found, kept = self.enter(F.pixel_unshuffle(features, 2)), []
        for level, blocks in enumerate(self.before):
            if level:
                kept.append(found)
                found = self.down[level - 1](found)
            found = blocks(found)
        for level in reversed(range(len(self.after))):
            found = self.after[level](kept[level] + self.up[level](found))
        return F.pixel_shuffle(self.leave(found), 2)[:, 0]


class ResidualBlock(nn.Module):
    """x + c(s(c(s(x)))): s: SiLU, c: a 3 × 3 convolution, the second begun small."""

    def __init__(self, width: int):
        super().__init__()
        self.first, self.second = _convolution(width, width), _convolution(width, width)
        nn.init.normal_(self.second.weight, std=0.1 * (2 / (9 * width)) ** 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(F.silu(self.first(F.silu(x))))


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(count)))


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """3 × 3, its weights drawn so that signals keep their strength (He et al. 2015)."""
    layer = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer


def _halving(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size=2, stride=2)


def _doubling(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, 4 * outputs, kernel_size=1), nn.PixelShuffle(2))


def on_any_size(restorer: Restorer) -> Callable[[torch.Tensor], torch.Tensor]:
    """The restorer, or its compiled form, for features of any Y and X: edge pixels are repeated as far as it needs."""

    def evaluate(features: torch.Tensor) -> torch.Tensor:
        height, width = features.shape[2:]
        multiple = restorer.config.multiple
        padded = F.pad(features, (0, -width % multiple, 0, -height % multiple), mode="replicate")
        return restorer(padded)[..., :height, :width]

    return evaluate
