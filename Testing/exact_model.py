"""A model whose answer is known: each voxel of class c is N(mean(c), σ²), so E[x_0 | x_t] has a closed form.

Its network reads the class from the anatomy code, so it is right only if code, schedule, HU window, windows, levels and
the way back to HU all are.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch
from tiny_model import TINY

from MedDiffFMLib.anatomy.classes import CODE_PLANES
from MedDiffFMLib.diffusion.schedule import cosine_schedule
from MedDiffFMLib.models.loading import Model

AIR_HU = -1000.0


@dataclass(frozen=True)
class Prior:
    """CT as the network believes it to be: HU by label (others: `other`), σ in HU, and the HU window."""

    mean_hu: dict[int, float]
    window: tuple[float, float]
    other: float = 0.0
    deviation_hu: float = 5.0

    def table(self) -> torch.Tensor:
        """The mean in the model's range by label, 0 … 127; label 0 is air."""
        hu = torch.full((2**CODE_PLANES,), self.other)
        hu[0] = AIR_HU
        for label, mean in self.mean_hu.items():
            hu[label] = mean
        low, high = self.window
        return (hu.clamp(low, high) - low) * 2 / (high - low) - 1


class ExactNetwork(torch.nn.Module):
    """ε̂ = (x_t − √ᾱ·E[x_0 | x_t])/√(1 − ᾱ), voxel by voxel; it counts its calls."""

    def __init__(self, prior: Prior, patch: int):
        super().__init__()
        self.config = dataclasses.replace(TINY, patch=patch)
        self.alpha_bar = torch.from_numpy(cosine_schedule().alpha_bar)
        self.means, low_high = prior.table(), prior.window
        self.variance = (prior.deviation_hu * 2 / (low_high[1] - low_high[0])) ** 2
        self.calls = 0

    def forward(self, x_t, t, position, anatomy, region, residuals=None):
        self.calls += len(x_t)
        alpha = self.alpha_bar[t].view(-1, 1, 1, 1, 1)
        bits = 2 ** torch.arange(CODE_PLANES).view(1, -1, 1, 1, 1)
        mean = self.means[(anatomy * bits).sum(dim=1, keepdim=True).long()].double()
        gain = alpha.sqrt() * self.variance / (alpha * self.variance + 1 - alpha)
        x0 = mean + gain * (x_t.double() - alpha.sqrt() * mean)
        return ((x_t - alpha.sqrt() * x0) / (1 - alpha).sqrt()).float()


def exact_model(
    prior: Prior, patch: int = 32, config: dict | None = None, network: type[ExactNetwork] = ExactNetwork
) -> Model:
    return Model(
        name="exact",
        folder=Path("exact"),
        source="test",
        config=config or {},
        network=network(prior, patch),
        schedule=cosine_schedule(),
        device=torch.device("cpu"),
        dtype=torch.float32,
        sha256="0" * 64,
    )
