"""Random multi-level crops of a training store (paper, III-B) with their conditions.

Three levels after the paper: `image`, the whole image resized to the patch; `double`, a crop of twice the patch
resized to it; `patch`, a crop of the patch, all at 1 mm. `own` (our addition) is a crop on the scan's own grid,
without interpolation and so without the correlation of noise that it brings; denoising works there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from MedDiffFMLib.anatomy.regions import REGIONS
from MedDiffFMLib.anatomy.tissue import BODY_LABEL
from MedDiffFMLib.diffusion.slice_operators import block_mean, interpolate_slices
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.networks.position import tile_axes
from MedDiffFMLib.volumes.intensity import to_model

from .augment import draw_gain, draw_zoom, is_mirrored, mirror
from .boxes import nearest, read_box, resize
from .crop import Crop
from .crop_config import LEVELS, CropConfig
from .store import Case

LEAST_COVERED = 0.5  # of a crop of a scan that was given in part, if one of some boxes holds so much


def box_size(level: str, patch: Sequence[int], case: Case, binned: bool, zoom: float = 1.0) -> list[int]:
    """Voxels (z, y, x) of the case's own grid that a crop of `level` covers."""
    if level == "image":
        return list(case.hu.shape)
    if level == "own":
        return [patch[0], patch[1] * (1 + binned), patch[2] * (1 + binned)]
    mm = {"patch": 1.0, "double": 2.0}[level] * zoom
    return [max(1, round(mm * p / s)) for p, s in zip(patch, case.facts.spacing, strict=True)]


def box_start(
    rng: np.random.Generator, case: Case, size: Sequence[int], around_lesion: float = 0.0, anywhere: bool = False
) -> list[int]:
    """The first voxel of a box around a random voxel of the body, or of a lesion, moved inside the volume where it
    fits; or of any box of the volume.
    """
    shape = case.hu.shape
    if anywhere:
        slack = [have - n for n, have in zip(size, shape, strict=True)]
        return [int(rng.integers(min(0, free), max(0, free) + 1)) for free in slack]
    if around_lesion > 0 and rng.random() < around_lesion:
        voxel = case.lesion_voxels[rng.integers(len(case.lesion_voxels))]
        center = [int(rng.integers(v - n // 3, v + n // 3 + 1)) for v, n in zip(voxel, size, strict=True)]
    else:
        for _ in range(20):
            center = [int(rng.integers(low, high)) for low, high in case.body_box]
            if case.labels[tuple(center)] > 0:
                break
    return [
        int(np.clip(c - n // 2, min(0, have - n), max(0, have - n)))
        for c, n, have in zip(center, size, shape, strict=True)
    ]


def drop_anatomy(rng: np.random.Generator, labels: np.ndarray, keep_organs: float) -> np.ndarray:
    """Anatomy dropout: all organs, a random half of them, body alone, or nothing (in 10 % of the crops)."""
    draw = rng.random()
    if draw < keep_organs:
        return labels
    if draw > 0.9:
        return np.zeros_like(labels)
    table = np.where(np.arange(256) == 0, 0, BODY_LABEL).astype(np.uint8)
    if rng.random() < 0.5:
        kept = rng.random(256) < 0.5
        table = np.where(kept, np.arange(256), table).astype(np.uint8)
    return table[labels]


def thick_target(x0: torch.Tensor, factor: int) -> torch.Tensor:
    """A crop (Z, Y, X) as thick slices show it: averaged by `factor` along z and interpolated back. Beyond the crop its
    last slice is repeated.
    """
    z = x0.shape[0]
    whole = torch.cat([x0, x0[-1:].expand(-z % factor, -1, -1)])
    return interpolate_slices(block_mean(whole, factor), factor)[:z]


def has_target(case: Case, target: str) -> bool:
    """Whether a case has the data that `crops.target` needs; thick slices can be made of any whole scan."""
    if target and case.coverage is not None:
        return False
    if target == "pair":
        return case.pair is not None
    return target != "lesion-mask" or len(case.lesion_voxels) > 0


def drawable_cases(cases: Sequence[Case], config: CropConfig) -> tuple[list[Case], np.ndarray]:
    """The cases that crops are drawn from, those that have the ControlNet's input, and how often each one is
    drawn: shares that sum to 1. InputError if there are none.
    """
    chosen = [case for case in cases if has_target(case, config.target)]
    if not chosen:
        raise InputError(
            f"No case of the store has what crops.target {config.target!r} needs: prepare some that have it."
        )
    given = [1.0 if case.coverage is None else config.partial for case in chosen]
    weights = np.array([dict(config.case_weights).get(case.facts.name, 1.0) for case in chosen]) * given
    if not weights.sum() > 0:
        raise InputError(
            "crops.case_weights (with crops.partial) leaves no case of the store to draw from: give one more than 0."
        )
    return chosen, weights / weights.sum()


def _control_target(
    rng: np.random.Generator,
    case: Case,
    start: Sequence[int],
    size: Sequence[int],
    x0: torch.Tensor,
    window: tuple[float, float],
    config: CropConfig,
) -> dict:
    """The arguments of a `Crop` that hold a ControlNet's input (`target`) for the box at `start`; none without one."""
    if config.target == "lesion-mask":
        return {"target": nearest(read_box(case.lesion, start, size, False), config.patch).float()[None]}
    if config.target == "thick-ct":
        return {"target": thick_target(x0, int(rng.choice(config.factors)))[None]}
    if config.target == "pair":
        hu = torch.from_numpy(read_box(case.pair, start, size, case.geometry.air_hu)).float()
        return {"target": _in_window(hu, window, config)[None]}
    return {}


def _in_window(hu: torch.Tensor, window: tuple[float, float], config: CropConfig) -> torch.Tensor:
    """A box of HU (Z, Y, X) as a crop in [-1, 1]: resized to the patch, before or after it is cut to the window."""
    if config.window_first:
        return resize(torch.from_numpy(to_model(hu.numpy(), window)), config.patch)
    return torch.from_numpy(to_model(resize(hu, config.patch).numpy(), window))


def draw_window(rng: np.random.Generator, case: Case, config: CropConfig) -> tuple[float, float]:
    """The HU window of a case's region, its ends moved by up to `window_jitter_hu`."""
    low, high = REGIONS[case.facts.region].window
    jitter = rng.uniform(-1, 1, 2) * config.window_jitter_hu
    return low + jitter[0], high + jitter[1]


def is_placed(case: Case, config: CropConfig) -> bool:
    """Whether a case's crops are given their position: those of every case, or only of cases that do not cut the body
    off.
    """
    return case.facts.placed or config.cut_off_placed


def draw_level(rng: np.random.Generator, case: Case, config: CropConfig) -> str:
    """The level that a crop is drawn at, one of LEVELS. A scan that was given in part is drawn on its own grid: its
    whole image is mostly blank, and such scans are coarser than the other levels.
    """
    if case.coverage is not None:
        return "own"
    return LEVELS[rng.choice(4, p=np.array(config.levels) / sum(config.levels))]


def _draw_box(rng: np.random.Generator, case: Case, level: str, config: CropConfig) -> tuple[list[int], list[int]]:
    """First voxel and size of a crop's box. Of a scan that was given in part it holds at least LEAST_COVERED of what
    was given, or is the best of ten.
    """
    binned = bool(rng.random() < config.bin_in_plane) and case.coverage is None
    size = box_size(level, config.patch, case, binned, draw_zoom(rng, config, level))
    if level == "image":
        return [0, 0, 0], size
    around_lesion = config.around_lesion if config.target == "lesion-mask" else 0.0
    start = box_start(rng, case, size, around_lesion, config.anywhere)
    if case.coverage is None:
        return start, size

    def share(start: list[int]) -> float:
        return read_box(case.coverage, start, size, False).mean()

    for _ in range(9):
        if share(start) >= LEAST_COVERED:
            break
        start = max(start, box_start(rng, case, size, anywhere=config.anywhere), key=share)
    return start, size


def draw_crop(rng: np.random.Generator, cases: Sequence[Case], config: CropConfig) -> Crop:
    """One random crop. The same generator state gives the same crop."""
    cases, shares = drawable_cases(cases, config)
    case = cases[rng.choice(len(cases), p=shares)]
    level = draw_level(rng, case, config)
    start, size = _draw_box(rng, case, level, config)
    hu = torch.from_numpy(read_box(case.hu, start, size, case.geometry.air_hu)).float()
    labels = drop_anatomy(rng, read_box(case.labels, start, size, 0), config.keep_organs)
    window = draw_window(rng, case, config)
    x0 = _in_window(hu * draw_gain(rng, config), window, config)
    step = [n / p for n, p in zip(size, config.patch, strict=True)]
    center = [s + d / 2 - 0.5 for s, d in zip(start, step, strict=True)]
    crop = Crop(
        x0=x0[None],
        axes=tile_axes(case.hu.shape, center, config.patch, step),
        placed=is_placed(case, config) and bool(rng.random() < config.keep_position),
        labels=nearest(labels, config.patch),
        region=REGIONS[case.facts.region].index,
        level=level,
        covered=None if case.coverage is None else _covered(case, start, size, config.patch),
        **_control_target(rng, case, start, size, x0, window, config),
    )
    return mirror(crop) if is_mirrored(rng, config, case.facts.region) else crop


def _covered(case: Case, start: Sequence[int], size: Sequence[int], patch: Sequence[int]) -> torch.Tensor:
    """The voxels of a crop, bool (Z, Y, X), that are made of given voxels alone."""
    given = torch.from_numpy(read_box(case.coverage, start, size, False).astype(np.float32))
    return resize(given, patch) > 0.999
