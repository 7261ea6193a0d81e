"""The restorer's loss: squares in units of the noise, tissues balanced, coarse errors counted by themselves.

    L = Σ w·ρ(r) / Σ w + 0.1·Σ_k mean((B_k r)²) / mean((B_k n)²)

r: the error of the noise n found, both in units of σ(x); ρ: squares, but linear where |r| is large (pseudo-Huber);
w: so that each tissue counts (`tissue_weights`); B_k: means over k × k pixels, where noise is weak, and what is left of
it is seen most.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

TISSUES_HU = {  # the HU at which tissues begin; below all of them is air
    "lung": -950.0,
    "fat": -200.0,
    "soft": -20.0,
    "contrast": 100.0,
    "bone": 250.0,
}
LEAST_SHARE = 0.1  # of each tissue in the sum of weights
MOST = 10.0  # times more than its pixels' number a tissue never counts
AIR = 0.1  # weight of a pixel of air
BEND = 3.0  # |r| at which squares turn into lines
COARSE_PIXELS, COARSE_WEIGHT = (4, 8), 0.1


def restorer_loss(
    found: torch.Tensor, noise: torch.Tensor, truth: torch.Tensor, emphasis: torch.Tensor
) -> torch.Tensor:
    """The loss L of a batch of slices, a scalar.

    All are (N, Y, X). found, noise: the noise found and the true one, in units of σ; truth: the clean slices in HU;
    emphasis: how much each pixel counts.
    """
    weights = tissue_weights(truth) * emphasis
    error = found - noise
    fine = (weights * pseudo_huber(error)).sum() / weights.sum()
    coarse = sum(_coarse(error, k).square().mean() / _coarse(noise, k).square().mean() for k in COARSE_PIXELS)
    return fine + COARSE_WEIGHT * coarse


def pseudo_huber(r: torch.Tensor) -> torch.Tensor:
    """r² where |r| is small, 2·BEND·|r| less a constant where it is large."""
    return 2 * BEND**2 * ((1 + (r / BEND) ** 2).sqrt() - 1)


def tissue_weights(truth: torch.Tensor) -> torch.Tensor:
    """How much each pixel of a batch counts by its HU: 1, air less, and tissues that are rare in the batch so much
    more that each has `LEAST_SHARE` of the sum, or `MOST` times more than its number.
    """
    kinds = torch.bucketize(truth, torch.tensor(list(TISSUES_HU.values()), device=truth.device), right=True)
    counts = torch.bincount(kinds.flatten(), minlength=len(TISSUES_HU) + 1).double()
    factors = torch.ones_like(counts)
    factors[0] = AIR
    for _ in range(20):  # raising one tissue lowers the others' shares
        total = (factors * counts).sum()
        wanted = torch.where(counts > 0, LEAST_SHARE * total / counts.clamp(min=1), factors)
        factors[1:] = torch.maximum(factors[1:], wanted[1:].clamp(max=MOST))
    return factors.to(truth.dtype)[kinds]


def _coarse(values: torch.Tensor, pixels: int) -> torch.Tensor:
    return F.avg_pool2d(values[:, None], pixels)
