"""A batch on this computer: worker processes, each with a thread that gives it one request after another."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from functools import partial

from ..errors import in_words, kind_of
from ..worker.client import WorkerProcess, cores
from .batch import Runner

WAIT_SECONDS = 0.2


def on_this_computer(workers: int) -> Runner:
    """A runner with so many worker processes on this computer, which share its cores and each keep the model."""
    return partial(_run, workers)


def _run(workers: int, requests: list[dict], on_event: Callable[[dict], None]) -> Generator[dict, None, None]:
    """The last events of all jobs, as they end. Closing this generator stops the workers within seconds."""
    workers = max(1, min(workers, len(requests)))
    processes = [WorkerProcess(threads=max(1, cores() // workers)) for _ in range(workers)]
    waiting: queue.SimpleQueue[dict] = queue.SimpleQueue()
    events: queue.SimpleQueue[dict] = queue.SimpleQueue()
    for request in requests:
        waiting.put(request)
    threads = [
        threading.Thread(target=_serve, args=(process, waiting, events), daemon=True, name="batch worker")
        for process in processes
    ]
    for thread in threads:
        thread.start()
    try:
        unfinished = len(requests)
        while unfinished:
            event = _next(events)
            if event.pop("last", False):
                unfinished -= 1
                yield event
            else:
                on_event(event)
    finally:
        closing = [threading.Thread(target=process.close) for process in processes]
        for thread in closing:
            thread.start()
        for thread in (*closing, *threads):
            thread.join()


def _next(events: queue.SimpleQueue) -> dict:
    """The next event. Waits in short turns, since on Windows a wait cannot be interrupted."""
    while True:
        try:
            return events.get(timeout=WAIT_SECONDS)
        except queue.Empty:
            continue


def _serve(process: WorkerProcess, waiting: queue.SimpleQueue, events: queue.SimpleQueue) -> None:
    """Give a worker process one waiting request after another, until none waits."""
    while not process.closed:
        try:
            request = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            end = process.run(request, events.put)
        except Exception as error:  # whatever happens to a job, the next one is done
            end = {"event": "error", "kind": kind_of(error), "message": in_words(error)}
        events.put(end | {"id": request["id"], "last": True})
