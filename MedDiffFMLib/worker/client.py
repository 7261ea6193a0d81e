"""The client of a worker: it starts one, gives it jobs one after another, and stops it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from ..crash_message import crash_message
from ..errors import NEXT_STEPS
from ..processes import end_process_group, own_group

ENDS = ("result", "error", "cancelled")
STOP_SECONDS = 2.0  # a worker that still runs so long after its stdin was closed is killed
COMMAND = (sys.executable, "-m", "MedDiffFMLib", "worker")


class WorkerProcess:
    """A worker on this computer, started when it is first needed and again after a crash. One job at a time."""

    def __init__(self, threads: int | None = None, command: tuple[str, ...] = COMMAND):
        """threads: the number that the numerical libraries may use; None leaves that to them."""
        self._command, self._environment = command, _environment(threads)
        self._process: subprocess.Popen | None = None
        self._log = None
        self._closed = threading.Event()

    def run(self, request: dict, on_event: Callable[[dict], None] = lambda event: None) -> dict:
        """Do a `run` request and return its last event (result, error or cancelled); `on_event` gets those before.

        A worker that dies gives an error of kind `crash`, or `cancelled` if it was closed.
        """
        try:
            process = self._started()
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            for line in process.stdout:
                event = json.loads(line)
                if event["event"] in ENDS:
                    return event
                on_event(event)
        except (OSError, ValueError):  # its pipes are closed
            pass
        return self._death()

    def close(self) -> None:
        """End the worker, and the job it has, without half files: by its stdin, and by force if that takes too long.

        May be called from another thread than `run`, which then returns.
        """
        self._closed.set()
        process = self._process
        if process is None:
            return
        with contextlib.suppress(OSError, ValueError):
            process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            end_process_group(process, patience=0)

    @property
    def closed(self) -> bool:
        """Whether the worker was closed; it does no further jobs then."""
        return self._closed.is_set()

    def _started(self) -> subprocess.Popen:
        """The running process, started if necessary. OSError if the worker was closed."""
        if self._closed.is_set():
            raise OSError("closed")
        if self._process is None or self._process.poll() is not None:
            self._log = tempfile.TemporaryFile()
            # a group of its own: Ctrl-C reaches the caller alone, which ends the worker in order
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=self._environment,
                **own_group(),
            )
            if self._closed.is_set():  # in the meantime
                self.close()
        return self._process

    def _death(self) -> dict:
        """The last event of a job whose worker ended: `cancelled` if it was closed, else an error."""
        if self._closed.is_set():
            return {"event": "cancelled"}
        code = self._code() if self._process else None
        message = f"The worker ended by signal {-code}" if code and code < 0 else f"The worker ended with code {code}"
        lines = self._crash_message()
        return {"event": "error", "kind": "crash", "message": message + lines, "next": NEXT_STEPS["crash"]}

    def _code(self) -> int:
        """The worker's exit code; one that goes on though it was not understood is ended, with what it started."""
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            end_process_group(self._process, patience=0)
            return self._process.wait()

    def _crash_message(self) -> str:
        """The end of the message about a crash: what the worker said last, and a full stop."""
        if self._log is None:
            return "."
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 10_000))
        line = crash_message(self._log.read().decode(errors="replace"))
        return f": {line[:300]}" if line else "."


def _environment(threads: int | None) -> dict[str, str]:
    """This process's environment, in which the worker finds this package and keeps to its share of the cores."""
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH")]
    extra = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    if threads:
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
        extra |= dict.fromkeys(names, str(threads))
    return os.environ | extra


def cores(heed_environment: bool = True) -> int:
    """The number of cores that this process may use; the one in OMP_NUM_THREADS, if it is set and heeded."""
    limit = os.environ.get("OMP_NUM_THREADS", "") if heed_environment else ""
    if limit.isdigit() and int(limit) > 0:
        return int(limit)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
