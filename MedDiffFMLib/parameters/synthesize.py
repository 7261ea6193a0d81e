from __future__ import annotations

from dataclasses import dataclass

from .base import Parameters, parameter
from .common import (
    ORGANS,
    OUTPUT,
    overlap_parameter,
    region_parameter,
    samples_parameter,
    seed_parameter,
    steps_parameter,
)

LEVEL_CHOICES = ("image", "double", "patch", "image,double", "image,patch", "double,patch", "image,double,patch")


@dataclass(frozen=True)
class SynthesizeParameters(Parameters):
    """Synthesize a CT of no real person, of any size, from a label map of its anatomy."""

    files = (ORGANS, OUTPUT)
    synthetic = True

    region: str = region_parameter()
    quality: str = parameter(
        "balanced",
        "choice",
        "fast: the whole image at once, coarse; balanced: up to 2 mm; paper: at 1 mm, as published (slow).",
        label="Quality",
        choices=("fast", "balanced", "paper"),
    )
    samples: int = samples_parameter()
    levels: str | None = parameter(
        None,
        "choice",
        "Grids to go through, in place of the quality's own: the whole image, 2 mm (double), 1 mm (patch).",
        label="Levels",
        choices=LEVEL_CHOICES,
        advanced=True,
    )
    sampler: str | None = parameter(
        None,
        "choice",
        "Sampler, in place of the quality's own.",
        label="Sampler",
        choices=("ddim", "ancestral", "dpm-solver"),
        advanced=True,
    )
    steps: int | None = steps_parameter(
        "Steps at the first level, in place of the quality's own number; later levels take their share."
    )
    overlap: float | None = overlap_parameter()
    seed: int = seed_parameter()
