from __future__ import annotations

from dataclasses import dataclass

from .base import Parameters, parameter
from .common import CT, OUTPUT, anatomy_parameter, overlap_parameter, region_parameter, seed_parameter, steps_parameter


@dataclass(frozen=True)
class DenoiseParameters(Parameters):
    """Remove noise from a CT and keep its anatomy. Same grid, HU in, HU out."""

    files = (CT, OUTPUT)

    sigma: str | float = parameter(
        "auto",
        "number",
        "Noise of the input: its standard deviation in HU within even tissue; auto measures it.",
        label="Noise",
        choices=("auto",),
        unit="HU",
        minimum=1,
        maximum=300,
        metavar="auto|HU",
    )
    quality: str = parameter(
        "balanced",
        "choice",
        "fast: one estimate; balanced: more work for a better one, in steps or as a mean, as suits the model; paper: "
        "the published method's settings (slow), its estimate as it is, with no limit to what changes.",
        label="Quality",
        choices=("fast", "balanced", "paper"),
    )
    alone: bool = parameter(
        False,
        "flag",
        "The foundation model alone: without non-local means and without a refiner.",
        label="Foundation model alone",
        advanced=True,
    )
    region: str = region_parameter()
    anatomy: str = anatomy_parameter()
    steps: int | None = steps_parameter(
        "Steps of the sampler, in place of the quality's own number; 1 is a single estimate, as fast makes it."
    )
    overlap: float | None = overlap_parameter()
    seed: int = seed_parameter()
