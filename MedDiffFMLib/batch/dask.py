"""A batch on a Dask cluster that sees the same files: each job in a worker process beside the Dask worker that has it.

A process of its own, so that a job can be stopped, and may crash, without the Dask worker.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Generator
from functools import partial

from ..errors import InputError
from ..worker.client import WorkerProcess, cores
from .batch import Runner

IDLE_SECONDS = 60.0  # a process without a job ends after this, so that it holds no GPU memory for a batch that is gone
CONNECT_SECONDS = 10

_idle: list[tuple[WorkerProcess, threading.Timer]] = []
_busy: set[WorkerProcess] = set()
_lock = threading.Lock()


def on_cluster(address: str) -> Runner:
    """A runner on the Dask cluster whose scheduler has this address. InputError as of `connect`."""
    return partial(_run, connect(address))


def connect(address: str):
    """A client of the Dask cluster whose scheduler has this address. InputError if Dask is not installed, or nothing
    answers there.
    """
    try:
        from distributed import Client
    except ImportError:
        raise InputError("--scheduler needs Dask: pip install 'meddiff-fm[batch]'.") from None
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"No Dask scheduler answers at {address!r} ({type(error).__name__}): give an address like "
            "tcp://HOST:8786, and start the scheduler first."
        ) from None


def _run(client, requests: list[dict], on_event: Callable[[dict], None]) -> Generator[dict, None, None]:
    """The last events of all jobs, as they end; a cluster reports nothing before. Closing this generator stops the jobs
    within seconds.
    """
    from distributed import as_completed

    with client:
        info = client.scheduler_info(n_workers=-1)["workers"].values()
        jobs_on = Counter()
        for worker in info:
            jobs_on[worker["host"]] += worker["nthreads"]
        futures = [
            client.submit(run_on_dask_worker, request, dict(jobs_on), pure=False, retries=0) for request in requests
        ]
        key_of = {future.key: request["id"] for future, request in zip(futures, requests, strict=True)}
        try:
            for future in as_completed(futures, loop=client.loop):
                yield _end_of(future) | {"id": key_of[future.key]}
        finally:
            client.cancel([future for future in futures if not future.done()])
            client.run(close_all)


def _end_of(future) -> dict:
    """A job's last event; a failure of the Dask worker itself is an error of kind `crash`."""
    error = future.exception() if not future.cancelled() else None
    if error is not None:
        message = f"The cluster could not do this job ({type(error).__name__}): {str(error)[:300]}"
        return {"event": "error", "kind": "crash", "message": message}
    return {"event": "cancelled"} if future.cancelled() else future.result()


def run_on_dask_worker(request: dict, jobs_on: dict[str, int]) -> dict:
    """The last event of a job that runs in a process beside this Dask worker. jobs_on: how many jobs each host has at
    once, to share its cores.
    """
    from distributed import get_worker

    host = get_worker().address.split("://")[-1].rsplit(":", 1)[0]
    with _lock:
        process = None
        while _idle and (process is None or process.closed):
            process, timer = _idle.pop()
            timer.cancel()
        if process is None or process.closed:
            process = WorkerProcess(threads=max(1, _all_cores() // jobs_on.get(host, 1)))
        _busy.add(process)
    try:
        return process.run(request)
    finally:
        with _lock:
            _busy.discard(process)
            if not process.closed:
                timer = threading.Timer(IDLE_SECONDS, process.close)
                timer.daemon = True
                timer.start()
                _idle.append((process, timer))


def _all_cores() -> int:
    """The number of cores of the computer: Dask sets OMP_NUM_THREADS to 1 in its workers, whatever their number."""
    return cores(heed_environment=False)


def close_all() -> None:
    """End all processes beside this Dask worker, and their jobs."""
    with _lock:
        idle, busy = [process for process, _ in _idle], list(_busy)
        _idle.clear()
    for process in (*idle, *busy):
        process.close()
