"""Jobs: each `Job` is one request to the `sharedWorker` of all panels; one runs at a time.

A job is a generator that yields between small pieces of work; a timer resumes it, so that Slicer stays responsive.
"""

import base64
import contextlib
import shutil
import tempfile
import time
import uuid
from pathlib import Path

import qt
from slicer.i18n import tr as _

from MedDiffFMLib.errors import NO_ROOM

from .. import failures
from ..failures import Failure
from .backend import savedBackend
from .shared_worker import sharedWorker

INTERVAL = 50  # ms between two polls
TURN_SECONDS = 0.02  # how long a poll may work
CANCEL_SECONDS = 2.0  # a worker that takes longer to cancel is killed
END_EVENTS = ("result", "looked", "hello", "error", "cancelled")


class Job:
    """A request to the worker.

    prepare: a generator function of (folder, backend) that writes the inputs into the job's folder and returns the
    request. finish: a generator function of (event, folder) that reads the results; what it returns goes to `onEnd`.
    onProgress: called with the events before the last one. onEnd: called once with (result, failure); failure is None
    after success, and both are None after a cancel. patience: seconds that the worker may take to answer, or None.
    """

    def __init__(self, prepare, finish, onProgress=None, onEnd=None, backend=None, patience=None):
        self._prepare, self._finish = prepare, finish
        self._onProgress, self._onEnd = onProgress or (lambda event: None), onEnd or (lambda result, failure: None)
        self.backend, self._patience = backend or savedBackend(), patience
        self.id, self.running = uuid.uuid4().hex, False
        self._cancelTime, self._cancelReason = None, None
        self.log = ""

    def start(self):
        """Start this job in the shared worker. Failure at once if another job runs."""
        worker = sharedWorker()
        if worker.job:
            raise Failure("input", _("Another computation is running."), _("Wait for its end, or cancel it."))
        worker.job, self.running = self, True
        self.folder = Path(tempfile.mkdtemp(prefix="job-", dir=worker.folder))
        self._generator = self._steps()
        self._timer = qt.QTimer()
        self._timer.setInterval(INTERVAL)
        self._timer.connect("timeout()", self.poll)
        self._timer.start()

    def cancel(self, failure=None):
        """Cancel this job. failure: the reason that goes to `onEnd`; None if the user cancelled."""
        if self.running and self._cancelTime is None:
            self._cancelTime, self._cancelReason = time.monotonic(), failure
            process = sharedWorker()._process
            if process and process.running:
                process.send({"request": "cancel", "id": self.id})

    def abandon(self, keepWorker=False):
        """Stop this job at once without calling `onEnd`. keepWorker: the worker stays, and its answer is ignored."""
        if self.running:
            self._onEnd = lambda result, failure: None
            if keepWorker:
                self.cancel()
            else:
                sharedWorker().end()
            self._close(None, None)

    def poll(self):
        """Work for `TURN_SECONDS` at most; called by a timer."""
        until = time.monotonic() + TURN_SECONDS
        try:
            while self.running and time.monotonic() < until:
                if next(self._generator) == "wait":
                    break
        except StopIteration as end:
            self._close(end.value, None)
        except _Cancelled:
            sharedWorker().end()
            self._close(None, self._cancelReason)
        except Failure as failure:
            self._close(None, failure)
        except OSError as error:
            full = error.errno in NO_ROOM
            self._close(None, failures.diskFull(self.folder) if full else failures.unexpected(error))
        except Exception as error:
            self._close(None, failures.unexpected(error))

    def _steps(self):
        """The whole job: prepare, send, listen, finish. A generator; its return value is the job's result."""
        request = yield from self._untilCancelled(self._prepare(self.folder, self.backend))
        process = sharedWorker().process(self.backend)
        process.send(request | {"id": self.id})
        event = yield from self._listen(process)
        if event["event"] == "error":
            raise failures.fromEvent(event)
        if event["event"] == "cancelled":
            raise _Cancelled
        try:
            return (yield from self._untilCancelled(self._finish(event, self.folder)))
        except KeyError as error:
            raise failures.otherVersion(_("Its answer lacks {what}.").format(what=error)) from error

    def _untilCancelled(self, steps):
        """Resume the generator `steps` to its end and return its value; raise _Cancelled if the job is cancelled."""
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value
            if self._cancelTime is not None:
                steps.close()
                raise _Cancelled
            yield

    def _listen(self, process):
        """Pass this job's events to `onProgress` and return the last one. A generator."""
        began = time.monotonic()
        while True:
            code = process.exitCode  # before reading, so that no event is missed
            events = process.poll()
            for event in events:
                mine = event.get("id") in (self.id, None)
                if mine and event["event"] in END_EVENTS:
                    return event
                if mine and self._cancelTime is None:
                    self._onProgress(event)
            if self._cancelTime is not None and time.monotonic() - self._cancelTime > CANCEL_SECONDS:
                raise _Cancelled
            if self._patience is not None and time.monotonic() - began > self._patience:
                sharedWorker().end()
                raise failures.noAnswer(self._patience)
            if code is not None and not events:
                if self._cancelTime is not None:
                    raise _Cancelled
                self.log = process.messages()
                raise failures.died(code, self.log, self.backend.kind == "slicer")
            yield "wait"

    def _close(self, result, failure):
        self._timer.stop()
        # a connection keeps its function alive, and with it the nodes that the function refers to
        self._timer.disconnect("timeout()", self.poll)
        self._timer.deleteLater()
        worker, onEnd = sharedWorker(), self._onEnd
        self.log = self.log or worker.log()
        self.running = False
        self._generator.close()
        self._generator = self._timer = self._prepare = self._finish = self._onProgress = self._onEnd = None
        worker.job = None
        shutil.rmtree(self.folder, ignore_errors=True)
        if failure is not None and failure.kind in ("crash", "packages", "out-of-memory"):
            worker.end()
        worker.restartIdleTimer()
        onEnd(result, failure)


class _Cancelled(Exception):
    """Raised inside a job that was cancelled."""


def outputFiles(event, slot, folder):
    """The files of one output of a `result` event, as (path, provenance as JSON text). Files whose bytes are inside the
    event are written to `folder` first.
    """
    files = []
    for number, file in enumerate(event["files"][slot]):
        if "data" in file:
            path = folder / f"{number}-{Path(file['name']).name}"
            path.write_bytes(base64.b64decode(file["data"]))
            files.append((path, file.get("provenance") or "{}"))
        else:
            provenance = file.get("provenance")
            record = _localPath(provenance).read_text(encoding="utf-8") if provenance else "{}"
            files.append((_localPath(file["path"]), record))
    return files


def inputFile(path, remote):
    """An input file as a request has it: its path in the worker's folder, or its name and bytes for a remote worker."""
    if not remote:
        return sharedWorker().relativePath(path)
    return {"name": path.name, "data": base64.b64encode(path.read_bytes()).decode("ascii")}


def _localPath(name):
    """The path on this computer of a file that the worker names relative to its folder."""
    return sharedWorker().folder / name


def previewFile(event, folder):
    """The path of the preview in a progress event, or None if the event has none."""
    preview = event.get("preview")
    if not preview:
        return None
    if "path" in preview:
        return _localPath(preview["path"])
    path = folder / "preview-here.nrrd"
    with contextlib.suppress(OSError):
        path.write_bytes(base64.b64decode(preview["data"]))
        return path
    return None
