"""Progress reports of a running task: a `Progress` after every batch of windows, or part of other work. Standard
library only.

Raising `Cancelled` from the callback stops the task within that batch.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .volumes.volume import Volume


@dataclass(frozen=True)
class Progress:
    """The progress of a task: `step` steps and, of the next one, `window` windows (or other parts) are done.

    work_done: the part of the whole work that is done, where steps differ in theirs; None where they do not.
    preview, after a step of a task that can show it, makes the present estimate as a Volume in HU; nothing is
    computed for it until it is called, which must happen within the callback.
    """

    step: int
    steps: int
    window: int
    windows: int
    seconds_left: float | None = None
    work_done: float | None = None
    preview: Callable[[], Volume] | None = field(default=None, repr=False, compare=False)

    @property
    def fraction(self) -> float:
        """The fraction of the whole task that is done, 0 … 1."""
        done = (self.step + self.window / max(self.windows, 1)) / max(self.steps, 1)
        return min(done if self.work_done is None else self.work_done, 1.0)


ProgressCallback = Callable[[Progress], None]


@dataclass
class Reporter:
    """Turns a noise predictor's tiles and a sampler's steps into `Progress`, with the time left."""

    callback: ProgressCallback | None
    steps: int = 1
    parts: int = 1
    done: int = 0
    began: float = field(default_factory=time.monotonic)
    costs: Sequence[float] = ()
    make_preview: Callable[[object], Volume] | None = None

    def begin(
        self,
        steps: int,
        parts: int,
        costs: Sequence[float] = (),
        make_preview: Callable[[object], Volume] | None = None,
    ) -> None:
        """Begin reports of work of this size; the clock starts here.

        parts: of the first step. costs: the tiles of each step, or what is worth so many, where they differ.
        make_preview: makes a Volume in HU of the sampler's estimate of x_0 (`Scan.as_volume` does), for those who want
        to see the result while it is made.
        """
        self.steps, self.parts, self.done, self.began = steps, parts, 0, time.monotonic()
        self.costs, self.make_preview = costs, make_preview
        self._emit(0)

    def restart(self, callback: ProgressCallback | None) -> None:
        """Report to another callback, as if nothing had been done."""
        self.callback = callback
        self.steps, self.parts, self.done, self.began = 1, 1, 0, time.monotonic()
        self.costs, self.make_preview = (), None

    def heartbeat(self) -> None:
        """Report that the task is alive, between the parts of its preparation; the callback may stop it here too."""
        self._emit(0)

    def part(self, part: int, parts: int) -> None:
        """Report how many parts of the next step are done: the tiles of a noise prediction (its `on_tile`), or the
        parts of other work that is a step of its own.
        """
        self.parts = parts
        self._emit(part)

    def step(self, i: int, t: int, x0: object) -> None:
        """Count a sampler's step and offer its estimate as a preview: the callback of samplers."""
        self.done = i + 1
        self._emit(0, partial(self.make_preview, x0) if self.make_preview else None)

    def next_step(self) -> None:
        """Count a step that has no estimate to show."""
        self.done += 1
        self._emit(0)

    def _emit(self, part: int, preview: Callable[[], Volume] | None = None) -> None:
        if self.callback is None:
            return
        work_done = self._work_done(part) if self.costs else None
        fraction = Progress(self.done, self.steps, part, self.parts, work_done=work_done).fraction
        left = (time.monotonic() - self.began) * (1 / fraction - 1) if fraction > 0 else None
        self.callback(Progress(self.done, self.steps, part, self.parts, left, work_done, preview))

    def _work_done(self, part: int) -> float:
        """The fraction of all costs that is done."""
        of_this = sum(self.costs[self.done : self.done + 1]) * part / max(self.parts, 1)
        return (sum(self.costs[: self.done]) + of_this) / (sum(self.costs) or 1)


def sub_progress(progress: ProgressCallback | None, first: float, last: float) -> ProgressCallback | None:
    """A callback that shows the progress of one part of the work as the fractions first … last of the whole."""
    if progress is None:
        return None

    def show(now: Progress) -> None:
        progress(replace(now, work_done=first + (last - first) * now.fraction, seconds_left=None, preview=None))

    return show


def part_counter(on_part: Callable[[int, int], None], total: int) -> Callable[[], None]:
    """A function to call after each of `total` parts: `on_part(done, total)`."""
    done = itertools.count(1)
    return lambda: on_part(next(done), total)
