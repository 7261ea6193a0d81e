"""The worker: JSON requests on stdin, one a line, JSON events on stdout (`Docs/worker.md` is the protocol).

One thread reads the requests, so that `cancel` and `ping` are heard during a job; the main thread computes the jobs
one after another and keeps the last model loaded.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import Cancelled, UsageError
from ..models.hardware import report_faults
from ..parameters import TASKS, describe_task, split_values
from ..progress import Progress
from .protocol import PROTOCOL, check_request, end_event, parse_request, request_id

if TYPE_CHECKING:
    from ..jobs.cache import JobCache
    from ..models.loading import Model
    from .files import JobFiles

PROGRESS_SECONDS = 0.1  # windows are reported at most this often, steps always
PREVIEW_SECONDS = 2.0
CACHE_SECONDS = 60.0  # that a CT and a plan stay in memory without a request

log = logging.getLogger("MedDiffFMLib")


class Worker:
    """The worker: it answers requests until the last one. send: takes an event (a dict for JSON), from any thread."""

    def __init__(self, send: Callable[[dict], None]):
        self._send = send
        self._jobs: queue.Queue[dict | None] = queue.Queue()
        self._lock = threading.Lock()
        self._open: dict[str, bool] = {}  # accepted and not finished, by id: whether its cancel was requested
        self._running: str | None = None
        self._ending = False
        self._model: tuple[tuple, Model] | None = None
        self._cache: JobCache | None = None

    def stop(self) -> None:
        """End, and the job that runs with it, within a window."""
        self._ending = True
        self._jobs.put(None)

    # the thread that reads

    def read_requests(self, lines: Iterator[bytes]) -> None:
        """Take requests until there are none, then end: a job that runs is stopped."""
        try:
            for line in lines:
                if line.strip() and not self._handle_line(line):
                    break
        finally:
            self.stop()

    def _handle_line(self, line: bytes) -> bool:
        """Handle one request; False if it was the last one. A request that is wrong gets an `error` event."""
        request = {}
        try:
            request = parse_request(line)
            return self._dispatch(request)
        except Exception as error:  # whatever a line does, the next one is read
            key = request.get("id")
            self._send(end_event(error) | {"id": key if isinstance(key, str) else None})
        return True

    def _dispatch(self, request: dict) -> bool:
        """Do or queue a request; False if it was the last one. UsageError if there is no such request."""
        match request.get("request"):
            case "run" | "look":
                self._accept(request)
            case "cancel":
                self._cancel(request_id(request))
            case "ping":
                with self._lock:
                    waiting = [key for key in self._open if key != self._running]
                self._send({"event": "pong", "running": self._running, "waiting": waiting})
            case "hello":
                self._jobs.put(request)
            case "quit":
                return False
            case other:
                raise UsageError(f"There is no request {other!r}: use run, look, cancel, ping, hello or quit.")
        return True

    def _accept(self, request: dict) -> None:
        """Check a job and queue it."""
        key = request_id(request)
        check_request(request)
        with self._lock:
            if key in self._open:
                raise UsageError(f"The id {key!r} is in use by a job that is not finished: give each job its own.")
            self._open[key] = False
            ahead = len(self._open) - 1
        self._send({"event": "accepted", "id": key, "task": request["task"], "ahead": ahead})
        self._jobs.put(request)

    def _cancel(self, key: str) -> None:
        """Cancel a waiting job, or ask the running one to stop."""
        with self._lock:
            if key not in self._open:
                raise UsageError(f"There is no job {key!r} to cancel: it is finished or was never accepted.")
            waiting = key != self._running
            if waiting:
                del self._open[key]
            else:
                self._open[key] = True
        if waiting:
            self._send({"event": "cancelled", "id": key})

    # the thread that computes

    def work(self) -> None:
        """Do the jobs in their order until `read_requests` ends."""
        while not self._ending and (request := self._next()) is not None:
            if request["request"] == "hello":
                self._hello(request)
                continue
            with self._lock:
                if request["id"] not in self._open:  # cancelled while it waited
                    continue
                self._running = request["id"]
            try:
                end = self._run(request)
            except Exception as error:
                log.debug("Job %s failed", request["id"], exc_info=True)
                end = end_event(error)
                if end["event"] == "cancelled" and not self._open[request["id"]]:  # by a signal, not by a request
                    self.stop()
            with self._lock:
                self._running = None
                del self._open[request["id"]]
            self._send(end | {"id": request["id"]})

    def _next(self) -> dict | None:
        """The next request; while none comes for a minute, the memory of CT and plan is given back."""
        try:
            return self._jobs.get(timeout=CACHE_SECONDS)
        except queue.Empty:
            if self._cache:
                self._cache.drop()
            return self._jobs.get()

    def _run(self, request: dict) -> dict:
        """The last event of a job, which is computed here; its temporary files are gone afterwards."""
        from ..jobs.cache import JobCache
        from ..jobs.job import open_job, run_job
        from .files import JobFiles

        self._cache = self._cache or JobCache()
        with JobFiles(request) as files:
            parameters, common = split_values(TASKS[request["task"]], files.parameters)
            on_progress = self._progress_callback(request["id"], files if request.get("preview") else None)
            if request["request"] == "look":
                inputs = {
                    slot.name: files.paths.get(slot.name) for slot in TASKS[request["task"]].files if not slot.output
                }
                job = open_job(request["task"], inputs, parameters, common, cache=self._cache)
                facts = job.look(on_progress, self._load)
                warnings = [*job.warnings, *facts.pop("warnings")]
                return {"event": "looked", "facts": facts, "warnings": warnings}
            resume = request.get("resume", False)
            report = run_job(
                request["task"], files.paths, parameters, common, on_progress, self._load, resume, self._cache
            )
            event = {"event": "result", "skipped": report.skipped, "summary": report.summary, "facts": report.facts}
            event |= {"seconds": report.seconds, "warnings": list(report.warnings)}
            return event | {"files": files.results(report.written)}

    def _progress_callback(self, key: str, previews: JobFiles | None) -> Callable[[Progress], None]:
        """The progress callback of a job: it reports the progress, and stops the job if that was requested."""
        sent, step, shown = 0.0, -1, time.monotonic()

        def on_progress(now: Progress) -> None:
            nonlocal sent, step, shown
            self._stop_if_cancelled(key)
            event = {"event": "progress", "id": key, "step": now.step, "steps": now.steps}
            event |= {"window": now.window, "windows": now.windows}
            event |= {"fraction": now.fraction, "seconds_left": now.seconds_left}
            if previews and now.preview and time.monotonic() - shown >= PREVIEW_SECONDS:
                if shown_now := previews.preview(now.preview()):
                    event["preview"] = shown_now
                shown = time.monotonic()
            elif now.step == step and time.monotonic() - sent < PROGRESS_SECONDS:
                return
            sent, step = time.monotonic(), now.step
            self._send(event)

        return on_progress

    def _stop_if_cancelled(self, key: str) -> None:
        """Raise Cancelled if the job's cancel was requested, or the worker is to end."""
        if self._ending or self._open[key]:
            raise Cancelled

    def _load(self, name: str | None, device: str, precision: str, runtime: str = "auto") -> Model:
        """The model kept from the job before if it is the same one, else the one asked for."""
        from ..models.loading import load_model

        key = (name, device, precision, runtime)
        self._stop_if_cancelled(self._running)
        if self._model is None or self._model[0] != key:
            self._model = None  # two at once may not fit, and a plan holds its own
            if self._cache:
                self._cache.drop_plan()
            self._model = (key, load_model(*key))
        self._stop_if_cancelled(self._running)
        return self._model[1]

    def _hello(self, request: dict) -> None:
        """Send the event `hello`: versions, hardware, models and tasks."""
        from ..models.device import choose_device
        from ..models.hardware import describe_system
        from ..models.store import installed

        self._send(
            {
                "event": "hello",
                "id": request.get("id"),
                "protocol": PROTOCOL,
                "version": __version__,
                "device": str(choose_device()),
                "system": describe_system(),
                "models": sorted({found.folder.name for found in installed() if not found.source.startswith("hub:")}),
                "tasks": {name: describe_task(task) for name, task in TASKS.items()},
            }
        )


def read_lines(source: int) -> Iterator[bytes]:
    """The lines of a file descriptor. Not through `sys.stdin`: a thread that waits there keeps Python from ending."""
    parts: list[bytes] = []
    while block := os.read(source, 1 << 20):
        *whole, rest = block.split(b"\n")
        for line in whole:
            yield b"".join((*parts, line))
            parts = []
        if rest:
            parts.append(rest)
    if parts:
        yield b"".join(parts)


def take_stdout() -> int:
    """The file descriptor of stdout, for events alone: what else prints there, libraries too, goes to stderr."""
    events = os.dup(1)
    try:
        os.dup2(2, 1)
    except OSError:  # there is no stderr
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        os.close(devnull)
    sys.stdout = sys.stderr
    return events


def serve() -> None:
    """Run a worker on this process's stdin and stdout until stdin closes, `quit`, or the events are no longer read."""
    report_faults()
    lock, events = threading.Lock(), take_stdout()

    def send(event: dict) -> None:
        line = memoryview(json.dumps(event).encode() + b"\n")
        try:
            with lock:
                while line:
                    line = line[os.write(events, line) :]
        except BrokenPipeError:
            worker.stop()

    worker = Worker(send)
    threading.Thread(target=worker.read_requests, args=(read_lines(0),), daemon=True).start()
    worker.work()
