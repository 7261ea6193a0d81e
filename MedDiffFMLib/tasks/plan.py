"""A task is a plan: made of inputs and parameters, it can say what it would take, and run."""

from __future__ import annotations

from typing import Protocol

from ..volumes.volume import Volume
from .facts import Facts


class Result(Protocol):
    """The result of a task."""

    facts: Facts  # of the run, for the provenance too; a result may have `warnings`, sentences on it, too

    def outputs(self) -> dict[str, list[Volume] | list[dict]]:
        """The outputs by the name of the file slot: volumes, one a sample, or the rows of a table."""

    def summary(self) -> str:
        """The result in one line for a reader."""


class Plan(Protocol):
    """A task that is ready to run: inputs checked, region found, tiles planned; nothing is sampled yet.

    Each task module has a function `plan` that makes it from the inputs, the parameters object, `model`, `reporter`
    and, of a CT, `anatomy`; `for_estimate` leaves out what only the run needs (TotalSegmentator, a noise that cannot
    be measured).
    """

    def estimate(self) -> dict:
        """An estimate of the run: `region`, `network_evaluations`, `seconds_each`, and the task's own."""

    def run(self) -> Result:
        """The task's result, computed. What the progress callback raises passes through, and nothing is left then."""
