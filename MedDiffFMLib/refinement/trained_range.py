"""What a refiner or restorer was trained on, as ranges of noise and grid: beyond them its result is a guess."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainedRange:
    """The ranges of a network's training data. sigma_hu: the noise by region; grain: see `noise_map.grain`, as
    `scan_noise` measures it; pixel_mm, slice_mm: in plane, and from slice to slice.
    """

    sigma_hu: dict[str, tuple[float, float]]
    grain: tuple[float, float]
    pixel_mm: tuple[float, float]
    slice_mm: tuple[float, float]
