"""`--events`: events of a command for a program that watches it, such as a panel in 3D Slicer: one JSON object a line
on stdout, each with `event`. The command ends when its stdin closes, so that nothing goes on when the watcher has gone.
"""

from __future__ import annotations

import _thread
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..models.hardware import report_faults
from .errors import CANCELLED

if TYPE_CHECKING:
    from ..batch.batch import Batch

EVERY_SECONDS = 0.2
EVENTS = typer.Option("--events", help="For programs: progress as JSON lines on stdout; ends when stdin closes.")


def send(event: str, **values) -> None:
    """Print one event. It is flushed, as the reader may tail a file."""
    print(json.dumps({"event": event} | values), flush=True)


def watch_stdin(stop: Callable[[], None] | None = None) -> None:
    """Call `stop` (without one: cancel, as Ctrl-C does) when stdin closes."""
    report_faults()

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 1 << 16):
                pass
        (stop or _cancel)()

    threading.Thread(target=wait, daemon=True).start()


def _cancel() -> None:
    """Cancel the command, as Ctrl-C does."""
    if hasattr(signal, "pthread_kill"):  # it wakes a main thread that waits
        signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)
    else:
        _thread.interrupt_main()


@contextmanager
def batch_events(batch: Batch) -> Iterator[Callable[[Batch], None]]:
    """A callback for `Batch.run` that sends what has changed: `entries` with name, status, reason and summary, and
    `progress` with the done share of the whole and of those that run.
    """
    sent: dict[str, tuple] = {}
    last = -EVERY_SECONDS

    def on_change(batch: Batch, now: bool = False) -> None:
        nonlocal last
        if not now and time.monotonic() - last < EVERY_SECONDS:
            return
        last = time.monotonic()
        rows = {entry.name: (entry.status, entry.reason, entry.summary) for entry in batch.entries}
        changed = [[name, *row] for name, row in rows.items() if sent.get(name) != row]
        sent.update(rows)
        if changed:
            send("entries", entries=changed)
        left = batch.seconds_left if batch.count["waiting"] else None
        send("progress", fraction=batch.fraction, seconds_left=left, running=batch.running)

    on_change(batch, now=True)
    try:
        yield on_change
    finally:
        on_change(batch, now=True)


@contextmanager
def download_events(repo: str, revision: str | None) -> Iterator[None]:
    """A context for the download of a model: sends `progress` with the bytes that have arrived, and their total."""
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"  # on stderr, which is for the one sentence of an error
    watch_stdin(lambda: os._exit(CANCELLED))  # what has arrived is kept, and the next download goes on from there
    ended = threading.Event()

    def watch() -> None:
        total = None
        with contextlib.suppress(Exception):  # offline, or no such repository: the download itself says so
            total = _download_bytes(repo, revision)
        while not ended.wait(EVERY_SECONDS):
            done = _bytes_here(repo)
            send("progress", done=done, total=total, fraction=min(1.0, done / total) if total else None)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(EVERY_SECONDS * 2)
        sys.stdout.flush()


def _download_bytes(repo: str, revision: str | None) -> int:
    """The size in bytes of a model's files on the Hub."""
    from huggingface_hub import HfApi

    from ..models.store import MODEL_FILES

    tree = HfApi().list_repo_tree(repo, recursive=True, revision=revision)
    sizes = {item.path: item.size for item in tree if hasattr(item, "size")}
    return sum(size for path, size in sizes.items() if any(fnmatch(path, pattern) for pattern in MODEL_FILES))


def _bytes_here(repo: str) -> int:
    """The bytes of a model that were downloaded so far."""
    from ..models.store import hub_folder

    def size(path: Path) -> int:
        with contextlib.suppress(OSError):  # it was renamed in the meantime
            return path.stat().st_size
        return 0

    return sum(size(path) for path in (hub_folder(repo) / "blobs").glob("*"))
