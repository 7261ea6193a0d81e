"""What a task gives back, as files see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..volume import Volume


class TaskResult(Protocol):
    """Every task's result: its facts for the provenance, and what is written for each of its output files."""

    facts: dict

    def outputs(self) -> dict[str, Sequence[Volume] | list[dict]]:
        """By the name of an output in `parameters.TASKS[task].files`: volumes (one a sample), or the rows of a
        table.
        """
        ...

    def summary(self) -> str:
        """One line for the reader of a shell: the numbers that matter."""
        ...
