from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..errors import UsageError
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

STRENGTHS = {"light": 50.0, "medium": 70.0, "full": 100.0}  # % of the noise that is taken away
USUAL_STRENGTH, FULL_STRENGTH = "medium", "full"


@dataclass(frozen=True)
class DenoiseParameters(Parameters):
    """Remove noise from a CT and keep its anatomy. Same grid, HU in, HU out."""

    files = (CT, OUTPUT, UNCERTAINTY)

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
    strength: str | float | None = parameter(
        None,
        "number",
        "Share of the noise to take away; the rest keeps the grain that readers know. light: 50 %, medium: 70 %, "
        "full: 100 %. Default: medium; full with --quality paper or --alone.",
        label="Strength",
        choices=tuple(STRENGTHS),
        unit="%",
        minimum=0,
        maximum=100,
        metavar=f"{'|'.join(STRENGTHS)}|PERCENT",
        affects_estimate=False,
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

    def validate(self):
        """This object, if every value is usable; else UsageError, also for a strength that may be meant as a share."""
        super().validate()
        if isinstance(self.strength, (int, float)) and 0 < self.strength <= 1:
            levels = ", ".join(STRENGTHS)
            raise UsageError(
                f"--strength {self.strength:g} may be a share or a percentage: give percent, as 70, or {levels}."
            )
        return self

    def check_outputs(self, names: Collection[str]) -> None:
        """Check the outputs of these names: UsageError for an uncertainty where one orientation is all there is."""
        if "uncertainty" in names:
            check_spread(self.quality)
            if self.alone:
                raise UsageError(
                    "--alone uses one orientation, so it has no spread for --uncertainty: leave out one of them."
                )

    @property
    def strength_percent(self) -> float:
        """The share of the noise to take away, 0 to 100 %."""
        usual = FULL_STRENGTH if self.quality == "paper" or self.alone else USUAL_STRENGTH
        strength = usual if self.strength is None else self.strength
        return float(STRENGTHS.get(strength, strength))
