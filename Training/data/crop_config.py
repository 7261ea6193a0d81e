"""The settings of crops: size, level, augmentation, and the input of a ControlNet."""

from __future__ import annotations

from dataclasses import dataclass

from MedDiffFMLib.anatomy.regions import REGIONS
from MedDiffFMLib.errors import InputError

LEVELS = ("image", "double", "patch", "own")
TARGETS = ("thick-ct", "thick-slices", "pair", "lesion-mask")


def require(holds: bool, name: str, value: object, expected: str) -> None:
    """InputError, with the setting's name, value and what is expected, unless `holds`."""
    if not holds:
        raise InputError(f"{name} is {value!r} and must be {expected}: correct it in the settings.")


@dataclass(frozen=True)
class CropConfig:
    """The settings of crops. Probabilities need not sum to 1; lengths in voxels (z, y, x)."""

    patch: tuple[int, int, int] = (64, 64, 64)
    levels: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 0.0)  # of LEVELS; the paper's: equal, and no `own`
    bin_in_plane: float = 0.0  # share of `own` crops averaged 2 × 2 in plane: the same anatomy with half the noise
    window_jitter_hu: float = 0.0  # the HU window's two ends move by up to this much
    keep_organs: float = 0.5  # share of crops with all given organs; else some, or body alone, or nothing
    keep_position: float = 0.9
    case_weights: tuple[tuple[str, float], ...] = ()  # cases drawn more or less often than once
    target: str = ""  # the input of a ControlNet: one of TARGETS, or empty
    factors: tuple[int, ...] = (2, 3, 4, 5, 6)  # thick slices: so many thin ones averaged, drawn for each crop
    around_lesion: float = 0.8  # share of crops around a lesion's voxel, if the target is its mask
    turned: tuple[tuple[str, float], ...] = ()  # share of a case's crops whose rows or columns play slices and …
    flipped: float = 0.0  # … share of all crops that may be mirrored, along any axes, if the target is thick-slices
    zoom: tuple[float, float] = (1.0, 1.0)  # boxes of `double` and `patch` crops are so many times larger, log-uniform
    mirrored: tuple[tuple[str, float], ...] = ()  # by region: share of the crops mirrored along x, sides swapped
    hu_gain: float = 0.0  # a crop's HU are multiplied by 1 ± up to this
    anywhere: bool = False  # boxes lie anywhere in the scan (the paper's), not around a voxel of the body
    window_first: bool = False  # HU go into the window before a box is resized (the paper's), not after
    cut_off_placed: bool = False  # scans that cut the body off have a position too (the paper's)
    partial: float = 0.0  # how often a scan that was given in part is drawn, beside once for a whole one

    def __post_init__(self):
        """InputError if no crop can be drawn with these settings."""
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
        """InputError if no crop can be augmented with these settings."""
        fits = len(self.zoom) == 2 and 0.5 <= self.zoom[0] <= self.zoom[1] <= 2
        require(fits, "zoom", self.zoom, "the least and the most, from 0.5 to 2")
        fits = all(len(pair) == 2 and pair[0] in REGIONS and 0 <= pair[1] <= 1 for pair in self.mirrored)
        require(fits, "mirrored", self.mirrored, f"pairs of a region ({', '.join(REGIONS)}) and a share from 0 to 1")
        require(0 <= self.hu_gain < 0.5, "hu_gain", self.hu_gain, "a share from 0 to 0.5")
        require(self.partial >= 0, "partial", self.partial, "a number from 0")
        unfit_for_control = bool(self.target) and (
            self.zoom != (1.0, 1.0) or bool(self.mirrored) or self.hu_gain or self.partial
        )
        require(
            not unfit_for_control, "target", self.target, "nothing where zoom, mirrored, hu_gain or partial are set"
        )
