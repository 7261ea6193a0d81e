"""Progress on stderr: a bar on a terminal, few lines elsewhere, nothing if quiet."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as RichProgress

from ..progress import Progress, ProgressCallback

LINE_SECONDS = 10.0  # without a terminal: a line at most this often


@contextmanager
def progress_bar(title: str, quiet: bool = False) -> Iterator[ProgressCallback]:
    """A callback for a task that shows its step, windows, percent and time left."""
    console = Console(stderr=True)
    if quiet:
        yield lambda event: None
    elif console.is_terminal:
        with _bar(console) as bar:
            row = bar.add_task(title, total=1.0, detail="starting")
            yield lambda event: bar.update(row, completed=event.fraction, detail=describe(event))
    else:
        yield _lines(title, console)


def _bar(console: Console) -> RichProgress:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[detail]}"))
    return RichProgress(*columns, console=console, transient=True)


def _lines(title: str, console: Console) -> ProgressCallback:
    last = time.monotonic()

    def show(event: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_SECONDS:
            last = time.monotonic()
            console.print(f"{title} {event.fraction:.0%}, {describe(event)}", highlight=False)

    return show


def describe(event: Progress) -> str:
    """For example `step 2 of 8, window 13 of 48, 1:05 left`. Steps count from 1 while they run."""
    parts = [f"step {min(event.step + 1, event.steps)} of {event.steps}", f"window {event.window} of {event.windows}"]
    if event.seconds_left is not None:
        whole = round(event.seconds_left)
        hours, minutes = divmod(whole // 60, 60)
        parts.append((f"{hours}:{minutes:02d}" if hours else f"{minutes}") + f":{whole % 60:02d} left")
    return ", ".join(parts)
