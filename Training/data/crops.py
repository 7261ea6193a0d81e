"""Random multi-level crops of a training store (paper, III-B) with their conditions.

Three levels after the paper: `image`, the whole image resized to the patch; `double`, a crop of twice the patch
resized to it; `patch`, a crop of the patch, all at 1 mm. `own` (our addition) is a crop on the scan's own grid,
without interpolation and so without the correlation of noise that it brings; denoising works there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from MedDiffFMLib.anatomy.regions import REGIONS
from MedDiffFMLib.anatomy.tissue import BODY_LABEL
from MedDiffFMLib.diffusion.slice_operators import block_mean, cubic_slices, interpolate_slices
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.networks.anatomy_code import encode_labels
from MedDiffFMLib.networks.position import encode_position, window_axes
from MedDiffFMLib.volumes.intensity import to_model

from .augment import draw_gain, draw_zoom, is_mirrored, mirror
from .boxes import nearest, read_box, resize
from .store import Case

LEVELS = ("image", "double", "patch", "own")
LEAST_COVERED = 0.5  # of a crop of a scan that was given in part, if one of some boxes holds so much
TARGETS = ("thick-ct", "thick-slices", "pair", "lesion-mask")


def require(holds: bool, name: str, value: object, wanted: str) -> None:
    """InputError unless a setting holds."""
    if not holds:
        raise InputError(f"{name} is {value!r} and must be {wanted}: correct it in the settings.")


@dataclass(frozen=True)
class CropConfig:
    """How crops are drawn. Probabilities need not sum to 1; lengths in voxels (z, y, x)."""

    patch: tuple[int, int, int] = (64, 64, 64)
    levels: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 0.0)  # of LEVELS; the paper's: equal, and no `own`
    bin_in_plane: float = 0.0  # share of `own` crops averaged 2 × 2 in plane: the same anatomy with half the noise
    window_jitter_hu: float = 0.0  # the HU window's two ends move by up to this much
    keep_organs: float = 0.5  # share of crops with all given organs; else some, or body alone, or nothing
    keep_position: float = 0.9
    case_weights: tuple[tuple[str, float], ...] = ()  # cases drawn more or less often than once
    target: str = ""  # what a ControlNet is told: one of TARGETS, or nothing
    factors: tuple[int, ...] = (2, 3, 4, 5, 6)  # thick slices: so many thin ones averaged, drawn for each crop
    around_lesion: float = 0.8  # share of crops around a lesion's voxel, if the target is its mask
    turned: tuple[tuple[str, float], ...] = ()  # share of a case's crops whose rows or columns play slices and …
    flipped: float = 0.0  # … share of all crops that may be mirrored, along any axes, if the target is thick-slices
    zoom: tuple[float, float] = (1.0, 1.0)  # boxes of `double` and `patch` crops are so many times larger, log-uniform
    mirrored: tuple[tuple[str, float], ...] = ()  # by region: share of the crops mirrored along x, sides swapped
    hu_gain: float = 0.0  # a crop's HU are multiplied by 1 ± up to this
    partial: float = 0.0  # how often a scan that was given in part is drawn, beside once for a whole one

    def __post_init__(self):
        """InputError if no crop can be drawn so."""
        for name in ("bin_in_plane", "keep_organs", "keep_position", "around_lesion", "flipped"):
            require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "a share from 0 to 1")
        self._check_changes()
        require(self.window_jitter_hu >= 0, "window_jitter_hu", self.window_jitter_hu, "0 or more HU")
        fits = len(self.levels) == len(LEVELS) and min(self.levels) >= 0 and sum(self.levels) > 0
        require(fits, "levels", self.levels, f"shares of {', '.join(LEVELS)}, not all 0")
        require(self.target in ("", *TARGETS), "target", self.target, f"one of {', '.join(TARGETS)}, or nothing")
        fits = all(isinstance(f, int) and f >= 2 for f in self.factors) and self.factors
        require(bool(fits), "factors", self.factors, "whole numbers from 2")
        fits = all(len(pair) == 2 and pair[1] >= 0 for pair in self.case_weights)
        require(fits, "case_weights", self.case_weights, "pairs of a case's name and a number from 0")
        fits = all(len(pair) == 2 and 0 <= pair[1] <= 1 for pair in self.turned)
        require(fits, "turned", self.turned, "pairs of a case's name and a share from 0 to 1")

    def _check_changes(self) -> None:
        """InputError if no crop can be changed so."""
        fits = len(self.zoom) == 2 and 0.5 <= self.zoom[0] <= self.zoom[1] <= 2
        require(fits, "zoom", self.zoom, "the least and the most, from 0.5 to 2")
        fits = all(len(pair) == 2 and pair[0] in REGIONS and 0 <= pair[1] <= 1 for pair in self.mirrored)
        require(fits, "mirrored", self.mirrored, f"pairs of a region ({', '.join(REGIONS)}) and a share from 0 to 1")
        require(0 <= self.hu_gain < 0.5, "hu_gain", self.hu_gain, "a share from 0 to 0.5")
        require(self.partial >= 0, "partial", self.partial, "a number from 0")
        told = bool(self.target) and (self.zoom != (1.0, 1.0) or bool(self.mirrored) or self.hu_gain or self.partial)
        require(not told, "target", self.target, "nothing where zoom, mirrored, hu_gain or partial are set")


@dataclass
class Slices:
    """Thin slices (1, Z, Y, X) in the model's range and beyond it, bool the body on them, and how many make one."""

    thin: torch.Tensor
    body: torch.Tensor
    factor: int

    @property
    def thick(self) -> torch.Tensor:
        """Their block means, (1, Z / factor, Y, X)."""
        return block_mean(self.thin, self.factor)

    @property
    def spline(self) -> torch.Tensor:
        """Thin slices of the thick ones by the cubic spline that keeps them."""
        return cubic_slices(self.thick, self.factor)


@dataclass
class Crop:
    """A training sample: x_0 in [-1, 1] (1, Z, Y, X), its p_x, p_y and p_z, labels (Z, Y, X) and region index.

    Position and anatomy are small here; the codes that the network takes are made where it computes (`codes`).
    """

    x0: torch.Tensor
    axes: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    placed: bool
    labels: torch.Tensor
    region: int
    level: str
    target: torch.Tensor | None = None  # (1, Z, Y, X)
    slices: Slices | None = None  # of a crop for "thick-slices"
    covered: torch.Tensor | None = None  # bool (Z, Y, X): what counts in the loss, if the scan was given in part

    def codes(self, frequencies: int, device: torch.device | str = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
        """Position code (6L, Z, Y, X), zero where the place is not told, and anatomy code (7, Z, Y, X)."""
        position = encode_position(*(axis.to(device) for axis in self.axes), frequencies)
        return position if self.placed else torch.zeros_like(position), encode_labels(self.labels.to(device))


def box_size(level: str, patch: Sequence[int], case: Case, binned: bool, zoom: float = 1.0) -> list[int]:
    """Voxels (z, y, x) of the case's own grid that a crop of `level` covers."""
    if level == "image":
        return list(case.hu.shape)
    if level == "own":
        return [patch[0], patch[1] * (1 + binned), patch[2] * (1 + binned)]
    mm = {"patch": 1.0, "double": 2.0}[level] * zoom
    return [max(1, round(mm * p / s)) for p, s in zip(patch, case.facts.spacing, strict=True)]


def _start(rng: np.random.Generator, case: Case, size: Sequence[int], around_lesion: float) -> list[int]:
    """A box around a random voxel of the body, or of a lesion, moved inside the volume where it fits."""
    if around_lesion > 0 and rng.random() < around_lesion:
        voxel = case.lesion_voxels[rng.integers(len(case.lesion_voxels))]
        centre = [int(rng.integers(v - n // 3, v + n // 3 + 1)) for v, n in zip(voxel, size, strict=True)]
    else:
        for _ in range(20):
            centre = [int(rng.integers(low, high)) for low, high in case.body_box]
            if case.labels[tuple(centre)] > 0:
                break
    shape = case.hu.shape
    return [
        int(np.clip(c - n // 2, min(0, have - n), max(0, have - n)))
        for c, n, have in zip(centre, size, shape, strict=True)
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
    """What thick slices show of a crop (Z, Y, X): averaged by `factor` along z and interpolated back. The last slice
    stands in for what lies beyond the crop.
    """
    z = x0.shape[0]
    whole = torch.cat([x0, x0[-1:].expand(-z % factor, -1, -1)])
    return interpolate_slices(block_mean(whole, factor), factor)[:z]


def has_target(case: Case, target: str) -> bool:
    """Whether a case has what `crops.target` says; thick slices are made of any."""
    if target and case.coverage is not None:
        return False
    if target == "pair":
        return case.pair is not None
    return target != "lesion-mask" or len(case.lesion_voxels) > 0


def drawn_from(cases: Sequence[Case], config: CropConfig) -> tuple[list[Case], np.ndarray]:
    """The cases that crops are drawn from, those that have what a ControlNet is to be told, and how often each one is
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


def _told(
    rng: np.random.Generator,
    case: Case,
    start: Sequence[int],
    size: Sequence[int],
    x0: np.ndarray,
    window: tuple[float, float],
    config: CropConfig,
) -> dict:
    """What a ControlNet is told of the box at `start` (`target`), and what goes with it; nothing without one."""
    if config.target == "lesion-mask":
        return {"target": nearest(read_box(case.lesion, start, size, False), config.patch).float()[None]}
    if config.target == "thick-ct":
        return {"target": thick_target(torch.from_numpy(x0), int(rng.choice(config.factors)))[None]}
    if config.target == "pair":
        hu = torch.from_numpy(read_box(case.pair, start, size, case.place.air_hu)).float()
        return {"target": torch.from_numpy(to_model(resize(hu, config.patch).numpy(), window))[None]}
    return {}


def draw_window(rng: np.random.Generator, case: Case, config: CropConfig) -> tuple[float, float]:
    """The HU window of a case's region, its ends moved by up to `window_jitter_hu`."""
    low, high = REGIONS[case.facts.region].window
    jitter = rng.uniform(-1, 1, 2) * config.window_jitter_hu
    return low + jitter[0], high + jitter[1]


def draw_level(rng: np.random.Generator, case: Case, config: CropConfig) -> str:
    """One of LEVELS. A scan that was given in part is drawn on its own grid: its whole image is mostly blank, and such
    scans are coarser than the other levels.
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
    start = _start(rng, case, size, around_lesion)
    if case.coverage is None:
        return start, size
    share = lambda start: read_box(case.coverage, start, size, False).mean()  # noqa: E731
    for _ in range(9):
        if share(start) >= LEAST_COVERED:
            break
        start = max(start, _start(rng, case, size, 0.0), key=share)
    return start, size


def draw_crop(rng: np.random.Generator, cases: Sequence[Case], config: CropConfig) -> Crop:
    """One random crop. The same generator state gives the same crop."""
    cases, shares = drawn_from(cases, config)
    case = cases[rng.choice(len(cases), p=shares)]
    level = draw_level(rng, case, config)
    start, size = _draw_box(rng, case, level, config)
    hu = torch.from_numpy(read_box(case.hu, start, size, case.place.air_hu)).float()
    labels = drop_anatomy(rng, read_box(case.labels, start, size, 0), config.keep_organs)
    window = draw_window(rng, case, config)
    x0 = to_model(resize(hu, config.patch).numpy() * np.float32(draw_gain(rng, config)), window)
    step = [n / p for n, p in zip(size, config.patch, strict=True)]
    centre = [s + d / 2 - 0.5 for s, d in zip(start, step, strict=True)]
    crop = Crop(
        x0=torch.from_numpy(x0)[None],
        axes=window_axes(case.hu.shape, centre, config.patch, step),
        placed=case.facts.placed and bool(rng.random() < config.keep_position),
        labels=nearest(labels, config.patch),
        region=REGIONS[case.facts.region].index,
        level=level,
        covered=None if case.coverage is None else _covered(case, start, size, config.patch),
        **_told(rng, case, start, size, x0, window, config),
    )
    return mirror(crop) if is_mirrored(rng, config, case.facts.region) else crop


def _covered(case: Case, start: Sequence[int], size: Sequence[int], patch: Sequence[int]) -> torch.Tensor:
    """Which of a crop's voxels, bool (Z, Y, X), are made of given voxels alone."""
    given = torch.from_numpy(read_box(case.coverage, start, size, False).astype(np.float32))
    return resize(given, patch) > 0.999
