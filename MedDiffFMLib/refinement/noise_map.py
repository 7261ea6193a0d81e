"""The noise of a scan from place to place: σ(x), measured in what is finer than anatomy usually is.

A slice minus its Gaussian mean of about 1 mm keeps frequencies above 0.2 cycles/mm: much noise, little anatomy. Its
size is taken as medians of blocks of 6 mm, and of these a low quantile within 25 mm and 5 slices, so that edges and
vessels, which fill less than half of most blocks, hardly count; where all is noise, the quantile would be too low by
what it is of white noise, up to a quarter in large pixels, and is divided by that. Neck and shoulders differ so, slice
by slice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
import torch.nn.functional as F

PASS_MM = 0.94  # standard deviation of the Gaussian that is taken away: half of what has 0.2 cycles/mm
BLOCK_MM, REACH_MM, REACH_SLICES = 6.0, 25.0, 5
QUANTILE = 0.25
LEAST = 0.2  # of the typical σ: what is smoother, as air that was clipped, counts as this


@dataclass(frozen=True)
class NoiseMap:
    """σ in HU at every voxel, kept in blocks. blocks (Z, by, bx): of edge `edge` pixels; shape: (Y, X) of a slice."""

    blocks: torch.Tensor
    edge: int
    shape: tuple[int, int]

    def at(self, z: torch.Tensor) -> torch.Tensor:
        """σ in slices z (n,), interpolated between the centers of blocks: (n, Y, X)."""
        blocks, edge = self.blocks[z.clamp(0, len(self.blocks) - 1)], self.edge
        size = tuple(n * edge for n in blocks.shape[1:])
        whole = F.interpolate(blocks[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
        return whole[:, : self.shape[0], : self.shape[1]]

    def scaled(self, factor: float, least: float) -> NoiseMap:
        """The map times a factor, nowhere below `least` HU."""
        return replace(self, blocks=(self.blocks * factor).clamp(min=least))


def local_noise(y: torch.Tensor, spacing: tuple[float, float, float]) -> NoiseMap:
    """The noise above 0.2 cycles/mm of a scan y (Z, Y, X) in HU, or of noise alone: its local standard deviation."""
    return _low_map(y, spacing, lambda one: high_pass(one[None], spacing)[0])


def neighbor_noise(y: torch.Tensor, spacing: tuple[float, float, float]) -> NoiseMap:
    """The same of differences between neighbors along x, over √2: as large as the noise where it is white."""
    return _low_map(y, spacing, _neighbor_differences)


def _low_map(
    y: torch.Tensor, spacing: tuple[float, float, float], fine_part: Callable[[torch.Tensor], torch.Tensor]
) -> NoiseMap:
    edge = _block_edge(spacing)
    reach = max(1, round(REACH_MM / (edge * spacing[1]) / 2))
    medians = torch.stack([_block_medians(fine_part(one), edge) for one in y])
    return NoiseMap(_low_quantile(medians, reach) / _of_white_noise(edge, reach), edge, tuple(y.shape[1:]))


def scan_noise(
    y: torch.Tensor, spacing: tuple[float, float, float], sigma_hu: float, body: torch.Tensor
) -> tuple[NoiseMap, float]:
    """σ(x) of a scan whose noise in soft tissue is sigma_hu, and its grain (see `grain`).

    y: HU, float32 (Z, Y, X); body: bool, same shape. Where no soft tissue is found, the body's median is sigma_hu.
    """
    fine, steps = local_noise(y, spacing), neighbor_noise(y, spacing)
    inside, mean = _block_means(body, fine.edge), _block_means(y, fine.edge)
    soft = (inside > 0.9) & (mean > -150) & (mean < 220)
    soft = soft if soft.sum() >= 20 else inside > 0.5
    typical, typical_step = (_median(one.blocks, soft) for one in (fine, steps))
    if not typical > 0:  # no noise to be seen: the same σ everywhere
        return replace(fine, blocks=torch.full_like(fine.blocks, sigma_hu)), 1.0
    return fine.scaled(sigma_hu / typical, LEAST * sigma_hu), min(max(typical_step / sigma_hu, 0.05), 1.5)


def grain(noise: torch.Tensor) -> float:
    """How fine noise (Z, Y, X) is: σ of differences of neighbors over √2·σ. 1: white; less: coarser."""
    return float(_neighbor_differences(noise).std() / noise.std().clamp(min=1e-6))


def high_pass(y: torch.Tensor, spacing: tuple[float, float, float]) -> torch.Tensor:
    """Slices y (n, Y, X) less their Gaussian mean of about 1 mm."""
    return y - gaussian_mean(y, max(PASS_MM / spacing[1], 0.8))


def gaussian_mean(y: torch.Tensor, sd: float) -> torch.Tensor:
    """Slices y (n, Y, X) blurred in plane by a Gaussian of `sd` pixels; edge pixels are repeated."""
    radius = max(1, math.ceil(2.5 * sd))
    weights = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=y.device) / sd) ** 2)
    weights = (weights / weights.sum()).to(y.dtype)
    blurred = F.conv2d(F.pad(y[:, None], (0, 0, radius, radius), mode="replicate"), weights.view(1, 1, -1, 1))
    return F.conv2d(F.pad(blurred, (radius, radius, 0, 0), mode="replicate"), weights.view(1, 1, 1, -1))[:, 0]


def _neighbor_differences(y: torch.Tensor) -> torch.Tensor:
    """Over √2; the last column is repeated."""
    differences = (y[..., 1:] - y[..., :-1]) / math.sqrt(2)
    return torch.cat([differences, differences[..., -1:]], dim=-1)


def _block_edge(spacing: tuple[float, float, float]) -> int:
    return max(3, round(BLOCK_MM / spacing[1]))


def _block_medians(values: torch.Tensor, edge: int) -> torch.Tensor:
    """The median of |values| (Y, X) in each block (by, bx)."""
    return _in_blocks(values.abs(), edge).median(dim=-1).values


def _block_means(values: torch.Tensor, edge: int) -> torch.Tensor:
    """The mean of each block (Z, by, bx) of slices (Z, Y, X); of a mask, the share of a block that lies within."""
    return torch.stack([_in_blocks(one.float(), edge).mean(dim=-1) for one in values])


def _in_blocks(values: torch.Tensor, edge: int) -> torch.Tensor:
    """The pixels of a slice (Y, X) by block: (by, bx, edge²); edge pixels are repeated to fill the last blocks."""
    height, width = values.shape
    padded = F.pad(values[None, None], (0, -width % edge, 0, -height % edge), mode="replicate")[0, 0]
    rows, columns = (n // edge for n in padded.shape)
    return padded.view(rows, edge, columns, edge).transpose(1, 2).reshape(rows, columns, edge * edge)


def _low_quantile(medians: torch.Tensor, reach: int) -> torch.Tensor:
    """The quantile of the blocks (Z, by, bx) up to `reach` away from each; blocks without any noise come last."""
    slices = REACH_SLICES // 2
    seen = torch.where(medians > 0, medians, torch.inf)
    around = F.pad(seen[None], (reach, reach, reach, reach), mode="replicate")[0]
    found = torch.empty_like(medians)
    for z in range(len(medians)):
        near = around[torch.arange(z - slices, z + slices + 1).clamp(0, len(medians) - 1)]
        windows = near.unfold(1, 2 * reach + 1, 1).unfold(2, 2 * reach + 1, 1)
        values = windows.permute(1, 2, 0, 3, 4).flatten(2)
        found[z] = values.kthvalue(1 + int(QUANTILE * (values.shape[-1] - 1)), dim=-1).values
    return found.nan_to_num(posinf=0.0)


@lru_cache(maxsize=64)
def _of_white_noise(edge: int, reach: int) -> float:
    """What the quantile is of white noise with σ = 1: below the median of |n| (0.67), as blocks are small."""
    blocks = 2 * reach + 9
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(REACH_SLICES + 4, blocks * edge, blocks * edge, generator=generator)
    found = _low_quantile(torch.stack([_block_medians(one, edge) for one in noise]), reach)
    return float(found[2:-2, reach:-reach, reach:-reach].median())


def _median(values: torch.Tensor, mask: torch.Tensor) -> float:
    return float(values[mask].median()) if mask.any() else float(values.median())
