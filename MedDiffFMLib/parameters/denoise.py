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
        "fast: one estimate; balanced: a few steps, or one by a ControlNet; paper: the published method (slow).",
        label="Quality",
        choices=("fast", "balanced", "paper"),
    )
    control: str = parameter(
        "auto",
        "choice",
        "auto: the model's ControlNet for low dose, if it has one; none: the foundation model alone, never trained on "
        "pairs of low and full dose.",
        label="ControlNet",
        choices=("auto", "none"),
        advanced=True,
    )
    region: str = region_parameter()
    anatomy: str = anatomy_parameter()
    steps: int | None = steps_parameter(
        "Steps of the sampler by the foundation model alone, in place of the quality's own number."
    )
    overlap: float | None = overlap_parameter()
    seed: int = seed_parameter()
