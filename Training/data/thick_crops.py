"""Crops for a ControlNet that makes thin slices of thick ones in a single evaluation (`crops.target` "thick-slices").

Thin slices are few, so the voxels of a case's rows or columns serve as slices too (`crops.turned`). HU beyond the
window is kept until the loss: the thick slices of a bone's rim are means of what lies beyond it as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from MedDiffFMLib.anatomy.regions import REGIONS
from MedDiffFMLib.diffusion.slice_operators import replicate
from MedDiffFMLib.networks.position import tile_axes

from .boxes import read_box
from .crop import Crop, Slices
from .crop_config import CropConfig
from .crops import box_start, draw_window, drawable_cases, drop_anatomy, is_placed
from .store import Case


def depth(factor: int, patch: int, divisor: int) -> int:
    """The number of thin slices of a crop: the multiple of `factor` and of `divisor` nearest to `patch`."""
    step = math.lcm(factor, divisor)
    return step * max(1, round(patch / step))


def draw_factor(rng: np.random.Generator, config: CropConfig) -> int:
    """A factor of `crops.factors`; one that is listed several times is drawn more often."""
    return int(rng.choice(config.factors))


def draw_thick_crop(
    rng: np.random.Generator, cases: Sequence[Case], config: CropConfig, factor: int, divisor: int = 8
) -> Crop:
    """A crop on the scan's own grid, (Z, Y, X) with Z a multiple of `factor`: of its axial slices, or with another axis
    in their place; mirrored or not. The crop is given no position in the body then. The same generator state gives the
    same crop.
    """
    cases, shares = drawable_cases(cases, config)
    case = cases[rng.choice(len(cases), p=shares)]
    axis = int(rng.integers(1, 3)) if rng.random() < dict(config.turned).get(case.facts.name, 0.0) else 0
    order = [axis, *(other for other in range(3) if other != axis)]
    size = (depth(factor, config.patch[0], divisor), *config.patch[1:])
    box = [size[order.index(axis)] for axis in range(3)]
    start = box_start(rng, case, box)
    flips = [axis for axis in range(3) if rng.random() < 0.5] if rng.random() < config.flipped else []

    def cut(array, fill) -> np.ndarray:
        return np.ascontiguousarray(np.flip(read_box(array, start, box, fill).transpose(order), flips))

    labels = cut(case.labels, 0)
    low, high = draw_window(rng, case, config)
    thin = (torch.from_numpy(cut(case.hu, case.geometry.air_hu)).float() - low) * (2 / (high - low)) - 1
    slices = Slices(thin[None], torch.from_numpy(labels > 0)[None], factor)
    whole, at = (case.hu.shape, start) if axis == 0 else (size, (0, 0, 0))
    placed = not flips and axis == 0 and is_placed(case, config) and bool(rng.random() < config.keep_position)
    return Crop(
        x0=slices.thin.clamp(-1, 1),
        axes=tile_axes(whole, at, size, (1, 1, 1)),
        placed=placed,
        labels=torch.from_numpy(drop_anatomy(rng, labels, config.keep_organs)),
        region=REGIONS[case.facts.region].index,
        level="own",
        target=replicate(slices.thick, factor).clamp(-1, 1),
        slices=slices,
    )
