from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..errors import InputError
from .base import Parameters, parameter
from .common import (
    CT,
    OUTPUT,
    UNCERTAINTY,
    anatomy_parameter,
    check_spread,
    overlap_parameter,
    region_parameter,
    seed_parameter,
    steps_parameter,
)

THIN_MM = 1.0  # what the slices become where nothing is asked for
THINNEST_MM = 0.3
THICKNESS_MM = (0.01, 30.0)  # of a slice, the least and the most
MAX_FACTOR = 20  # thin slices for each thick one, at most


def factor_for(thick: float, goal: float = THIN_MM) -> int:
    """The number of slices that one of `thick` mm is split into, so that their distance comes nearest to `goal` mm; 1
    if no split comes nearer.
    """
    return min(range(1, MAX_FACTOR + 1), key=lambda n: abs(thick / n - goal))


@dataclass(frozen=True)
class SuperResolveParameters(Parameters):
    """Make thin slices from thick ones. The new slices have the old ones as their means; the pixel grid stays."""

    files = (CT, OUTPUT, UNCERTAINTY)

    factor: int | None = parameter(
        None,
        "integer",
        "Thin slices for each thick one. Without it as many as --spacing needs.",
        label="Slices per slice",
        minimum=2,
        maximum=MAX_FACTOR,
        metavar="N",
    )
    spacing: float | None = parameter(
        None,
        "number",
        f"Distance of the new slices, or a little less: the old one is split evenly. Without it {THIN_MM:g} mm.",
        label="Slice distance",
        unit="mm",
        minimum=THINNEST_MM,
        maximum=10,
        metavar="MM",
    )
    thickness: float | None = parameter(
        None,
        "number",
        "Thickness of the slices, which may overlap or leave gaps: each is the mean of the new ones by its profile. "
        "Without it that of the DICOM files; where there is none, they are taken to be as thick as they are apart, and "
        "for the plain means of the new ones.",
        label="Slice thickness",
        unit="mm",
        minimum=THICKNESS_MM[0],
        maximum=THICKNESS_MM[1],
        metavar="MM",
    )
    quality: str = parameter(
        "balanced",
        "choice",
        "fast: the least work, a single evaluation where the model has a ControlNet for it; balanced: more for a "
        "better result, as a mean or in steps; paper: the published method (slow), for which slices are plain means, "
        "and which does not keep them.",
        label="Quality",
        choices=("fast", "balanced", "paper"),
    )
    control: str = parameter(
        "auto",
        "choice",
        "auto: the model's ControlNet for super-resolution; none: the foundation model alone.",
        label="ControlNet",
        choices=("auto", "none"),
        advanced=True,
    )
    region: str = region_parameter()
    anatomy: str = anatomy_parameter()
    steps: int | None = steps_parameter(
        "Steps of the sampler, in place of the quality's own number; a ControlNet for a single evaluation is not used."
    )
    overlap: float | None = overlap_parameter()
    seed: int = seed_parameter()

    def check_outputs(self, names: Collection[str]) -> None:
        """Check the outputs of these names: UsageError for an uncertainty where one orientation is all there is."""
        if "uncertainty" in names:
            check_spread(self.quality)

    def validate(self):
        """This object, if every value is usable and says one thing; else UsageError."""
        if self.factor is not None and self.spacing is not None:
            raise InputError("--factor and --spacing say the same in two ways: give one of them.")
        if self.quality == "paper" and self.thickness is not None:
            raise InputError("--quality paper takes slices for plain means, as published: leave out --thickness.")
        return super().validate()
