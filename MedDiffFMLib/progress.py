"""What a running task tells: a `Progress` after every batch of windows. Standard library only.

Raising `Cancelled` from the callback stops the task within that batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Progress:
    """How far a task is: `step` steps and, of the next one, `window` windows are done.

    share: the part of all windows that is done, where steps differ in their windows; None where they do not.
    """

    step: int
    steps: int
    window: int
    windows: int
    seconds_left: float | None = None
    share: float | None = None

    @property
    def fraction(self) -> float:
        """Done share of the whole task, 0 … 1."""
        done = (self.step + self.window / max(self.windows, 1)) / max(self.steps, 1)
        return min(done if self.share is None else self.share, 1.0)


ProgressCallback = Callable[[Progress], None]


@dataclass
class Reporter:
    """Turns a noise model's windows and a sampler's steps into `Progress`, with the time left."""

    callback: ProgressCallback | None
    steps: int = 1
    windows: int = 1
    done: int = 0
    began: float = field(default_factory=time.monotonic)
    costs: Sequence[int] = ()

    def begin(self, steps: int, windows: int, costs: Sequence[int] = ()) -> None:
        """State the size of the work; the clock starts here. costs: the windows of each step, where they differ."""
        self.steps, self.windows, self.done, self.began = steps, windows, 0, time.monotonic()
        self.costs = costs
        self._tell(0)

    def tick(self) -> None:
        """Say that the task is alive, between the parts of its preparation; the callback may stop it here too."""
        self._tell(0)

    def window(self, window: int, windows: int) -> None:
        """A noise model's `on_window`."""
        self.windows = windows
        self._tell(window)

    def step(self, i: int, t: int, x0: object) -> None:
        """A sampler's callback."""
        self.done = i + 1
        self._tell(0)

    def _tell(self, window: int) -> None:
        if self.callback is None:
            return
        share = (sum(self.costs[: self.done]) + window) / max(sum(self.costs), 1) if self.costs else None
        now = Progress(self.done, self.steps, window, self.windows, share=share)
        elapsed = time.monotonic() - self.began
        left = elapsed * (1 / now.fraction - 1) if now.fraction > 0 else None
        self.callback(replace(now, seconds_left=left))
