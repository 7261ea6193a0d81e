"""ε(x_t, t) of a whole volume: the network in overlapping tiles, averaged at every step (paper, III-C, Fig. 4).

To a sampler this is one function of the whole volume. Hidden behind it: tiles, their batches, the network's
precision, and the tiles of air, which are never computed, since there ε follows from x_0 = air.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..diffusion.schedule import predict_eps
from ..networks.conditions import Conditions
from ..networks.unet import as_eps
from .tiles import Tile, TilePlan, Tiling, plan_tiles

if TYPE_CHECKING:
    from ..models.loading import Model
    from ..networks.controlnet import ControlNet


GPU_BATCH_VOXELS = 8 * 64**3  # eight tiles of the small model, one of the base model


class NoisePredictor:
    """ε(x_t, t) for volumes of one shape, under fixed conditions.

    `on_tile(done, total)` is called after every batch of tiles; it may raise to stop. Memory: two volumes and
    one batch, whatever the number of tiles.
    """

    def __init__(
        self,
        model: Model,
        conditions: Conditions,
        body: np.ndarray,
        air: float,
        tiling: Tiling | None = None,
        on_tile: Callable[[int, int], None] = lambda done, total: None,
        control: ControlNet | None = None,
    ):
        """body: bool (Z, Y, X), the voxels to compute. air: x_0 of air in the model's range. tiling: None for the
        defaults of `Tiling`. control: a ControlNet for the target of the conditions.
        """
        self.model, self.conditions, self.air = model, conditions, air
        self.on_tile, self.control = on_tile, control
        self.network = model.evaluator(model.network, control)
        levels = len(model.network.config.channels) - 1
        self.multiple = 2**levels
        tiling = tiling or Tiling()
        self.plan = tile_plan(model, body.shape, tiling)
        self.active = self.plan.touching(body)
        on_gpu = model.device.type == "cuda"
        self.batch = tiling.batch or (max(1, GPU_BATCH_VOXELS // math.prod(self.plan.size)) if on_gpu else 1)
        active = {w.start for w in self.active}
        self.skipped = [w for w in self.plan.tiles if w.start not in active]

    @torch.inference_mode()
    def __call__(self, x_t: torch.Tensor, t: int) -> torch.Tensor:
        """The predicted noise ε̂ of x_t, float32 (Z, Y, X), at timestep t: same shape, float32, on the same device."""
        alpha = float(self.model.schedule.alpha_bar[t])
        eps = torch.zeros_like(x_t)
        for tile in self.skipped:
            where = self.plan.slices(tile)
            of_air = predict_eps(x_t[where], self.air, alpha)
            eps[where] += of_air * tile.weight().to(x_t.device)
        for first in range(0, len(self.active), self.batch):
            group = self.active[first : first + self.batch]
            estimates = self._estimate(x_t, t, group)
            for tile, estimate in zip(group, estimates, strict=True):
                eps[self.plan.slices(tile)] += estimate.to(x_t.device) * tile.weight().to(x_t.device)
            self.on_tile(first + len(group), len(self.active))
        self.model.release_memory()
        return eps

    def worth(self, voxels: int, cost: float) -> float:
        """The cost of other work as a number of tiles, see `worth_in_tiles`."""
        return worth_in_tiles(self.model, self.plan, voxels, cost)

    @torch.inference_mode()
    def seconds_of_a_tile(self, x_t: torch.Tensor, t: int) -> float:
        """The time of one tile on this device, in seconds. The first one of a process is slow, so it does not count
        unless it takes long.
        """
        for _ in range(2):
            started = time.monotonic()
            float(self._estimate(x_t, t, self.active[:1]).sum())  # waits for a GPU
            seconds = time.monotonic() - started
            if seconds > 5:
                break
        return seconds

    def _estimate(self, x_t: torch.Tensor, t: int, tiles: Sequence[Tile]) -> torch.Tensor:
        """The predicted noise of some tiles, computed at once: float32, (B, Z, Y, X)."""
        device, size = self.model.device, self.plan.size
        alpha = float(self.model.schedule.alpha_bar[t])
        codes = [self.conditions.tile(w.start, size, device) for w in tiles]
        x = torch.stack([x_t[self.plan.slices(w)] for w in tiles])[:, None].to(device)
        inputs = [x, *(torch.stack(parts) for parts in zip(*codes, strict=True))]
        if self.control is not None:
            inputs.append(torch.stack([self.conditions.tile_target(w.start, size, device) for w in tiles]))
        pad = [-n % self.multiple for n in size]
        x, position, anatomy, *target = (_reflect(v, pad) for v in inputs)
        times = torch.full((len(tiles),), t, device=device)
        regions = torch.full((len(tiles),), self.conditions.region, device=device)
        with self.model.autocast():
            estimate = self.network(x, times, position, anatomy, regions, *target)
        noise = as_eps(estimate.float(), x, alpha, self.model.network.config.prediction)
        return noise[:, 0, : size[0], : size[1], : size[2]]


def tile_plan(model: Model, shape: tuple[int, int, int], tiling: Tiling) -> TilePlan:
    """The tiles of a volume (Z, Y, X) for a model's network."""
    return plan_tiles(shape, (model.network.config.patch,) * 3, tiling)


def worth_in_tiles(model: Model, plan: TilePlan, voxels: int, cost: float) -> float:
    """The time of other work as a number of tiles. cost: of one of its voxels, where a voxel of a tile costs 1 in a
    network of 16 channels (measured on a CPU); that grows with the square of the channels.
    """
    return voxels / math.prod(plan.size) * cost * (16 / model.network.config.channels[0]) ** 2


def _reflect(v: torch.Tensor, pad: Sequence[int]) -> torch.Tensor:
    """Pad (B, C, Z, Y, X) at the far end of each axis by mirroring, several times where an axis is very short."""
    for axis, extra in zip((2, 3, 4), pad, strict=True):
        while extra > 0:
            count = min(extra, v.shape[axis])
            v = torch.cat([v, v.flip(axis).narrow(axis, 0, count)], dim=axis)
            extra -= count
    return v
