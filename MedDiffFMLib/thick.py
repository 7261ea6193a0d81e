"""Thick and thin slices: H, the block mean along z, its transpose, and interpolation between slices (paper, eq. 12).

Tensors are (…, Z, Y, X). H·Hᵀ = I: a replicated slice has itself as block mean. Training makes its pairs so too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F


def block_mean(thin: torch.Tensor, factor: int) -> torch.Tensor:
    """H: every `factor` neighbouring slices averaged. Z must divide by `factor`."""
    *rest, z, y, x = thin.shape
    return thin.reshape(*rest, z // factor, factor, y, x).mean(dim=-3)


def replicate(thick: torch.Tensor, factor: int) -> torch.Tensor:
    """Hᵀ (times `factor`, so that H·Hᵀ = I): every slice `factor` times."""
    return thick.repeat_interleave(factor, dim=-3)


def interpolate_slices(thick: torch.Tensor, factor: int) -> torch.Tensor:
    """Thin slices by linear interpolation between the centres of thick ones (Z, Y, X); beyond the ends the end slice.

    This is what the ControlNet `super-resolution` is told.
    """
    size = (thick.shape[0] * factor, *thick.shape[1:])
    return F.interpolate(thick[None, None], size=size, mode="trilinear", align_corners=False)[0, 0]
