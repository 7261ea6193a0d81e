"""Metrics of a synthetic CT against its label map: Dice of organs or tissues, their HU, and seams of windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage

from MedDiffFMLib.anatomy.classes import BODY, GAS, ORGANS, label_number, label_numbers
from MedDiffFMLib.inference.tiles import Tiling, plan_tiles

from .real_hu import REAL_HU

# The organs whose Dice the paper averages (IV-A3), by region
PAPER_ORGANS = {
    "head-neck": ("brain", "skull"),
    "chest": ("lungs", "heart", "aorta"),
    "abdomen": ("spleen", "kidney", "gallbladder", "liver", "stomach", "pancreas", "small bowel", "duodenum", "colon"),
}
TISSUES = {
    "lung and gas": (-np.inf, -400.0),
    "fat": (-150.0, -30.0),
    "soft tissue": (0.0, 120.0),
    "bone": (180.0, np.inf),
}
LEAST_VOXELS = 100  # of an organ or tissue whose Dice and median count


def dice(one: np.ndarray, other: np.ndarray) -> float | None:
    """Dice of two masks, by MONAI; None if both are empty."""
    from monai.metrics import DiceMetric

    if not one.any() and not other.any():
        return None
    pair = [torch.from_numpy(np.ascontiguousarray(mask))[None, None].float() for mask in (one, other)]
    return float(DiceMetric(include_background=True, ignore_empty=False)(*pair).mean())  # else one empty gives no 0


def find_tissues(hu: np.ndarray, window: tuple[float, float], body: np.ndarray) -> dict[str, np.ndarray]:
    """The tissues of a CT by their HU alone, in the mean of 3 × 3 pixels of a slice: those of `TISSUES` that the HU
    window shows. All (Z, Y, X), axial slices first; HU are clipped to the window first, so that real CT, which has a
    wider range, is treated as synthetic CT.
    """
    low, high = window
    smooth = ndimage.uniform_filter(np.clip(hu, low, high).astype(np.float32), size=(1, 3, 3))
    ranges = {name: ends for name, ends in TISSUES.items() if ends[1] > low + 50 and ends[0] < high}
    return {name: (smooth >= first) & (smooth < last) & body for name, (first, last) in ranges.items()}


def organ_masks(labels: np.ndarray, region: str) -> dict[str, np.ndarray]:
    """The paper's organs of a region in a label map of the model's classes."""
    return {name: np.isin(labels, label_numbers(name)) for name in PAPER_ORGANS[region]}


def dice_of_each(found: dict[str, np.ndarray], given: dict[str, np.ndarray]) -> dict[str, float]:
    """Dice by name, of what was given; what was given in fewer than 100 voxels is left out."""
    return {name: dice(found[name], mask) for name, mask in given.items() if mask.sum() >= LEAST_VOXELS}


def organ_medians(
    labels: np.ndarray, window: tuple[float, float], **volumes: np.ndarray
) -> dict[str, dict[str, float]]:
    """Median HU of each given organ (118 and gas left out) in each of the named volumes: {organ: {volume: HU}}.

    Clipped to the window. An organ counts with at least 100 voxels a voxel away from its border, so that neither the
    masks' errors nor partial volume do.
    """
    found = {}
    for number in np.unique(labels):
        if number in (0, BODY, GAS):
            continue
        core = ndimage.binary_erosion(labels == number)
        if core.sum() >= LEAST_VOXELS:
            inside = {name: np.clip(hu[core], *window) for name, hu in volumes.items()}
            found[ORGANS[int(number)]] = {name: float(np.median(hu)) for name, hu in inside.items()}
    return found


def within_real_range(medians: dict[str, dict[str, float]], volume: str) -> dict[str, bool]:
    """{organ: whether its median HU in the named volume lies where real patients' do} of what `organ_medians` gave."""
    ends = {name: REAL_HU[label_number(name)] for name in medians}
    return {name: ends[name][0] <= of[volume] <= ends[name][1] for name, of in medians.items()}


def seam(hu: np.ndarray, borders: Sequence[Sequence[int]], body: np.ndarray) -> float | None:
    """The mean |difference| of neighboring voxels across the borders of windows over that elsewhere, within the body: 1
    where no seam can be seen.

    hu: (Z, Y, X). borders: by axis, each b lying between the voxels b − 1 and b. None if there is no border, or
    nothing of the body about it.
    """
    at, elsewhere = [], []
    for axis, places in enumerate(borders):
        step = np.abs(np.diff(hu.astype(np.float32), axis=axis))
        both = np.logical_and(*(np.take(body, np.arange(n, n + body.shape[axis] - 1), axis) for n in (0, 1)))
        near = np.isin(np.arange(step.shape[axis]), [b - 1 for b in places])
        if not near.any():
            continue
        for where, into in ((near, at), (~near, elsewhere)):
            into.append(np.compress(where, step, axis)[np.compress(where, both, axis)])
    if not at or not sum(map(len, at)) or not sum(map(len, elsewhere)):
        return None
    return float(np.concatenate(at).mean() / np.concatenate(elsewhere).mean())


def window_borders(shape: Sequence[int], fine: Sequence[int], patch: int, overlap: float) -> list[list[int]]:
    """The borders of tiles in a volume of `shape`, by axis; the tiles were laid over its image of `fine` voxels."""
    plan, found = plan_tiles(fine, (patch,) * 3, Tiling(overlap)), []
    for axis, (n, m) in enumerate(zip(shape, fine, strict=True)):
        ends = {s + e for s in {w.start[axis] for w in plan.tiles} for e in (0, plan.size[axis])}
        found.append(sorted({round(e * n / m) for e in ends} - {0, n}))
    return found


def mean(values: Sequence[float | None]) -> float | None:
    """The mean of what there is; None of nothing."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
