"""Whether a scan is like those that a refiner or restorer was trained on: by its noise, its grid and its HU."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..refinement.noise_map import scan_noise
from ..refinement.trained_range import TrainedRange
from .scan import Scan

TOLERANCE, NOISE_TOLERANCE = 1.2, 2.0  # so many times beyond a range is unlike; most full doses are below that of noise
AIR_HU, SOFT_HU = (-1100.0, -600.0), (-125.0, 125.0)  # where their medians lie; in a crop lung is at the rim, too
SEEN_AS_AIR, SEEN_AS_SOFT = (-1500.0, -300.0), (-200.0, 300.0)
LEAST_SHARE = 0.2  # of the rim or of the body, for a median


@dataclass(frozen=True)
class Trait:
    """A trait of a scan. text: in words; value and range: as measured, and in training."""

    text: str
    value: float
    range: tuple[float, float]
    unit: str = ""
    tolerance: float = TOLERANCE

    @property
    def is_unlike(self) -> bool:
        """Whether the value lies far outside of the range."""
        return not self.range[0] / self.tolerance <= self.value <= self.range[1] * self.tolerance

    def __str__(self) -> str:
        low, high = self.range
        return f"{self.text} {_number(self.value)}{self.unit} (in training {low:g} to {high:g}{self.unit})"


def training_warnings(
    scan: Scan, regions: Collection[str], sigma_hu: float, noise_hu: float | None, trained: TrainedRange
) -> tuple[str, ...]:
    """A sentence if the scan is unlike anything that a network with this range was trained on, and one if its values
    are hardly HU. regions: of the scan, by name; sigma_hu: the noise that the network is told; noise_hu: as measured.
    """
    name = Path(scan.frame.source.source).name or "the CT"
    unlike = [str(trait) for trait in _traits(scan, regions, sigma_hu, noise_hu, trained) if trait.is_unlike]
    sentences = []
    if unlike:
        sentences.append(
            f"{name} is unlike anything that the model was trained on, with {', '.join(unlike)}: its result may be "
            "worse than usual, compare it with the scan."
        )
    if problem := _not_hounsfield(scan):
        sentences.append(f"{problem} in {name}, as the model never saw it: make sure that the values are HU.")
    return tuple(sentences)


def _traits(
    scan: Scan, regions: Collection[str], sigma_hu: float, noise_hu: float | None, trained: TrainedRange
) -> list[Trait]:
    """What can be unlike: noise, pixels, slices, grain."""
    lowest, highest = zip(*(trained.sigma_hu[region] for region in regions), strict=True)
    z, _, x = scan.frame.spacing
    traits = [
        Trait("a noise of", sigma_hu, (min(lowest), max(highest)), " HU", NOISE_TOLERANCE),
        Trait("pixels of", x, trained.pixel_mm, " mm"),
        Trait("a slice distance of", z, trained.slice_mm, " mm"),
    ]
    grain = _grain(scan, noise_hu) if noise_hu else None
    return traits if grain is None else [*traits, Trait("noise with a grain of", grain, trained.grain)]


def _grain(scan: Scan, noise_hu: float) -> float | None:
    """How fine the noise is (see `noise_map.grain`), by the middle 24 slices; None where all is air."""
    for box in scan.body_box:
        middle = (box[0].start + box[0].stop) // 2
        part = (slice(max(box[0].start, middle - 12), min(box[0].stop, middle + 12)), *box[1:])
        y, body = (torch.from_numpy(np.ascontiguousarray(one[part])) for one in (scan.frame.hu, scan.body))
        return scan_noise(y, scan.frame.spacing, noise_hu, body)[1]
    return None


def _not_hounsfield(scan: Scan) -> str:
    """What is where no tissue is on the scale of HU, or an empty string."""
    hu, body = scan.frame.hu, scan.body
    rim, rim_body = (np.concatenate([one[:, [0, -1]].ravel(), one[..., [0, -1]].ravel()]) for one in (hu, body))
    for what, seen, whole, expected in (
        ("The air around the patient", _within(rim[~rim_body], SEEN_AS_AIR), rim.size, AIR_HU),
        ("Soft tissue", _within(hu[body], SEEN_AS_SOFT), body.sum(), SOFT_HU),
    ):
        if seen.size > LEAST_SHARE * whole and not expected[0] <= np.median(seen) <= expected[1]:
            return f"{what} is at {np.median(seen):.0f} HU"
    return ""


def _within(hu: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    return hu[(hu > limits[0]) & (hu < limits[1])]


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if value < 10 else f"{value:.0f}"
