"""Progress on stderr: a bar on a terminal, few lines elsewhere, nothing if quiet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as RichProgress

from ..progress import Progress

LINE_SECONDS = 10.0  # without a terminal: a line at most this often


@contextmanager
def progress_bar(
    title: str, quiet: bool = False, words: Callable[[object], str] | None = None
) -> Iterator[Callable[[object], None]]:
    """A callback that shows the progress of the work. It takes anything with a `fraction`; `words` puts the rest into
    words, by default step, windows and time left of a task's `Progress`.
    """
    console, words = Console(stderr=True), words or describe
    if quiet:
        yield lambda event: None
    elif console.is_terminal:
        with _bar(console) as bar:
            row = bar.add_task(title, total=1.0, detail="starting")
            yield lambda event: bar.update(row, completed=event.fraction, detail=words(event))
    else:
        yield _lines(title, console, words)


def _bar(console: Console) -> RichProgress:
    title, detail = (TextColumn(what, markup=False) for what in ("{task.description}", "{task.fields[detail]}"))
    return RichProgress(title, BarColumn(), TaskProgressColumn(), detail, console=console, transient=True)


def _lines(title: str, console: Console, words: Callable[[object], str]) -> Callable[[object], None]:
    last = time.monotonic()

    def show(event) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_SECONDS:
            last = time.monotonic()
            console.print(f"{title} {event.fraction:.0%}, {words(event)}", highlight=False, markup=False)

    return show


def describe(event: Progress) -> str:
    """The state of a run in words: for example `step 2 of 8, window 13 of 48, 1:05 left`. Steps count from 1 while they
    run.
    """
    parts = [f"step {min(event.step + 1, event.steps)} of {event.steps}", f"window {event.window} of {event.windows}"]
    if event.seconds_left is not None:
        parts.append(f"{in_time(event.seconds_left)} left")
    return ", ".join(parts)


def in_time(seconds: float) -> str:
    """A time in words: for example `1:05`, or `1:02:03` with hours."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
