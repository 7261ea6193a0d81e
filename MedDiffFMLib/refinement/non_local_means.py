"""Non-local means in 3D (Buades, Coll & Morel 2005), on the device of its input; an input of the refiner `low-dose`.

    x̂(p) = Σ_q w(p, q)·y(q) / Σ_q w(p, q),   w = exp(−max(‖P_p − P_q‖² − 2σ², 0) / h²)

‖P_p − P_q‖² is the mean squared difference of the two patches, of which 2σ² is noise. Our own rather than
scikit-image's: that one runs on one processor core, and its fast form sums over patches a voxel shorter along each
axis than asked for, which costs up to half a decibel on CT (Training/RUNS.md).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from ..progress import part_counter

PATCH = 3  # voxels along each axis
DISTANCE = 3  # the farthest q along each axis
H_FACTOR = 0.85  # h over σ
SLAB, ROWS = 24, 32  # slices and rows at once: bounds the memory, and what is at work stays in a processor's cache
COST = 0.75  # of a voxel, see `NoisePredictor.worth`


def non_local_means(
    y: torch.Tensor,
    sigma: float,
    h_factor: float = H_FACTOR,
    patch: int = PATCH,
    distance: int = DISTANCE,
    on_part: Callable[[int, int], None] = lambda done, total: None,
) -> torch.Tensor:
    """The non-local means of y, float32 (Z, Y, X), any scale; sigma: its noise on that scale. Voxels are taken as
    cubes; beyond the ends the last ones are repeated. `on_part(done, total)` is called a few times a second and may
    raise to stop.
    """
    reach = patch // 2 + distance
    padded = F.pad(y[None, None], (reach,) * 6, mode="replicate")[0, 0]
    steps = (SLAB, ROWS if y.device.type == "cpu" else y.shape[1])
    found, blocks = torch.empty_like(y), [range(0, n, step) for n, step in zip(y.shape, steps, strict=False)]
    tick = part_counter(on_part, math.prod(map(len, blocks)) * ((2 * distance + 1) ** 2 + 1) // 2)
    for z, row in itertools.product(*blocks):
        where = (slice(z, z + steps[0]), slice(row, row + steps[1]))
        block = padded[tuple(slice(s.start, s.stop + 2 * reach) for s in where)].contiguous()
        found[where] = _of_block(block, sigma, h_factor * sigma, patch, distance, tick)
    return found


def _of_block(
    padded: torch.Tensor, sigma: float, h: float, patch: int, distance: int, tick: Callable[[], None]
) -> torch.Tensor:
    """The non-local means of some rows of some slices, given with their margins. As w(p, q) = w(q, p), a weight is
    found once for both, over the q that follow p.
    """
    half, reach = patch // 2, patch // 2 + distance
    size = [n - 2 * reach for n in padded.shape]

    def voxels(first: Sequence[int], shape: Sequence[int]) -> torch.Tensor:
        """A box of the voxels; (0, 0, 0) is the first one inside the margins."""
        return padded[_box([reach + i for i in first], shape)]

    found, weights = voxels((0, 0, 0), size).clone(), torch.ones(size, device=padded.device)  # q = p
    for shift in itertools.product(range(-distance, distance + 1), repeat=3):
        if shift <= (0, 0, 0):
            continue
        first = [min(0, -s) for s in shift]  # all p that are within the margins, or whose q is
        shape = [n + abs(s) for n, s in zip(size, shift, strict=True)]
        patches = [n + 2 * half for n in shape]
        of_p, of_q = (voxels([i - half + k * s for i, s in zip(first, shift, strict=True)], patches) for k in (0, 1))
        weight = patch_mean((of_p - of_q).square_(), patch).sub_(2 * sigma**2).clamp_(min=0).mul_(-1 / h**2).exp_()
        for to_other in (shift, [-s for s in shift]):  # from p to q, from q to p
            weight_of_shift = weight[_box([max(0, s) for s in to_other], size)]
            found.addcmul_(weight_of_shift, voxels(to_other, size))
            weights.add_(weight_of_shift)
        if shift[2] == distance:
            tick()
    return found.div_(weights)


def _box(first: Sequence[int], shape: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(i, i + n) for i, n in zip(first, shape, strict=True))


def patch_mean(v: torch.Tensor, patch: int) -> torch.Tensor:
    """The mean over every cube of `patch` voxels that lies within (Z, Y, X); each axis gets shorter by `patch` − 1."""
    for axis in range(3):
        length = v.shape[axis] - patch + 1
        first, *others = (v.narrow(axis, i, length) for i in (*range(1, patch), 0))
        v = sum(others, start=first)
    return v / patch**3
