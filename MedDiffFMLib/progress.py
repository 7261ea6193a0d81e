"""What a running task tells: one `Progress` a step and a window. Standard library only.

A task calls `progress(Progress(...))` at least once a window; raising `Cancelled` from it stops the task within that window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a task is. Steps and windows count from 1 when done; 0 done is the start.

    `preview` is a function that returns the current estimate as HU on the input's grid, made only if somebody asks.
    """

    step: int
    steps: int
    window: int
    windows: int
    seconds_left: float | None = None
    preview: Callable | None = None

    @property
    def fraction(self) -> float:
        """Done share of the whole task, 0 … 1."""
        done = (self.step + self.window / max(self.windows, 1)) / max(self.steps, 1)
        return min(done, 1.0)


ProgressCallback = Callable[[Progress], None]
