"""Non-local means in 3D (Buades, Coll & Morel 2005), on the device of its input; the refiner `low-dose` is told it.

    x̂(p) = Σ_q w(p, q)·y(q) / Σ_q w(p, q),   w = exp(−max(‖P_p − P_q‖² − 2σ², 0) / h²)

‖P_p − P_q‖² is the mean squared difference of the two patches, of which 2σ² is noise. Our own rather than
scikit-image's: that one runs on one processor core, and its fast form sums over patches a voxel shorter along each
axis than asked for, which costs up to half a decibel on CT (Training/RUNS.md).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F

PATCH = 3  # voxels along each axis
DISTANCE = 3  # the farthest q along each axis
H_FACTOR = 0.85  # h over σ
SLAB = 24  # slices at once: bounds the memory


def non_local_means(
    y: torch.Tensor,
    sigma: float,
    h_factor: float = H_FACTOR,
    patch: int = PATCH,
    distance: int = DISTANCE,
    tick: Callable[[], None] = lambda: None,
) -> torch.Tensor:
    """y: float32 (Z, Y, X), any scale; sigma: its noise on that scale. Voxels are taken as cubes; beyond the ends stand
    copies of the last ones. `tick` is called a few times a second or so, and may raise to stop. Returns the same shape.
    """
    reach = patch // 2 + distance
    padded = F.pad(y[None, None], (reach,) * 6, mode="replicate")[0, 0]
    found = torch.empty_like(y)
    for first in range(0, y.shape[0], SLAB):
        slab = padded[first : first + SLAB + 2 * reach]
        found[first : first + SLAB] = _of_slab(slab, sigma, h_factor * sigma, patch, distance, tick)
    return found


def _of_slab(
    padded: torch.Tensor, sigma: float, h: float, patch: int, distance: int, tick: Callable[[], None]
) -> torch.Tensor:
    """The same of some slices that have their margins with them."""
    half = patch // 2
    inner = [n - 2 * distance for n in padded.shape]  # what patches of a fixed shift cover
    at = lambda shift: padded[tuple(slice(distance + s, distance + s + n) for s, n in zip(shift, inner, strict=True))]  # noqa: E731
    core = tuple(slice(half, n - half) for n in inner)
    total = torch.zeros([n - 2 * half for n in inner], device=padded.device)
    weights = torch.zeros_like(total)
    for shift in itertools.product(range(-distance, distance + 1), repeat=3):
        if shift[2] == -distance:
            tick()
        shifted = at(shift)
        apart = patch_mean((at((0, 0, 0)) - shifted).square_(), patch)
        weight = apart.sub_(2 * sigma**2).clamp_(min=0).mul_(-1 / h**2).exp_()
        total.addcmul_(weight, shifted[core])
        weights.add_(weight)
    return total / weights


def patch_mean(v: torch.Tensor, patch: int) -> torch.Tensor:
    """The mean over every cube of `patch` voxels that lies within (Z, Y, X); each axis gets shorter by `patch` − 1."""
    for axis in range(3):
        length = v.shape[axis] - patch + 1
        v = sum(v.narrow(axis, i, length) for i in range(1, patch)) + v.narrow(axis, 0, length)
    return v / patch**3
