"""The worker that all panels share. It is started when first needed and ended after it was idle for a while."""

import atexit
import shutil
import tempfile
from pathlib import Path

import qt
from slicer.i18n import tr as _

from ..failures import Failure
from .process import WorkerProcess, temporaryFolder

IDLE_SECONDS = 300.0  # after so long an idle worker ends and frees its memory, the graphics card's too
LEFT_SECONDS = 15.0  # the same while no panel is open: another module may need the memory
MAX_EVENT_BYTES = 1 << 29  # size of the events file at which the worker is restarted


class SharedWorker:
    """The one worker of this Slicer. It keeps its model loaded between jobs, until it was idle for too long."""

    def __init__(self):
        self._process, self._folder, self._timer, self._panelOpen = None, None, None, True
        self._discarded = []  # subfolders that no later job needs
        self.job = None  # the running job
        atexit.register(self.end)

    @property
    def folder(self):
        """A private folder that exists while a job or the process does. It is the process's current folder, so that
        files in it have relative paths: ITK cannot open some letters in absolute paths on Windows.
        """
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="MedDiffFM-", dir=temporaryFolder()))
        return self._folder

    def relativePath(self, path):
        """The path of a file in `folder`, relative to it, as the worker finds it."""
        return path.relative_to(self.folder).as_posix()

    def discard(self, folder):
        """Remove a subfolder of `folder` as soon as no job runs that may read it."""
        self._discarded.append(folder)
        self._removeFolders()

    def process(self, backend):
        """The running worker process at `backend`, started if necessary. Failure if it cannot be started."""
        if self._process and (self._process.backend != backend or not self._process.running):
            self.end()
        if self._process is None:
            try:
                self._process = WorkerProcess(backend, home=self.folder)
            except (OSError, ValueError) as error:
                suggestion = _("Choose another place under Advanced, “Where it runs”.")
                raise Failure("no-worker", str(error), suggestion) from None
        return self._process

    @property
    def pid(self):
        """The id of the worker's process, or None while there is none."""
        return self._process.pid if self._process and self._process.running else None

    def log(self):
        """The last messages of the worker."""
        return self._process.messages() if self._process else ""

    def panelEntered(self):
        """Note that a panel is open: an idle worker stays for `IDLE_SECONDS`."""
        self._panelOpen = True
        self.restartIdleTimer()

    def panelLeft(self):
        """Note that no panel is open: a job goes on, and an idle worker ends after `LEFT_SECONDS`."""
        self._panelOpen = False
        self.restartIdleTimer()

    def restartIdleTimer(self):
        """Start counting idle time from zero; called when a job has ended."""
        if self.job is None and self._process and self._process.bytesRead > MAX_EVENT_BYTES:
            self.end()
        self._removeFolders()
        if self._timer is None and self._process:
            self._timer = qt.QTimer()
            self._timer.setSingleShot(True)
            self._timer.connect("timeout()", self._endIfIdle)
        if self._process:
            self._timer.start(round(1000 * (IDLE_SECONDS if self._panelOpen else LEFT_SECONDS)))

    def _endIfIdle(self):
        if self.job is None:
            self.end()

    def end(self):
        """End the process, whatever it is doing, and all processes that it started."""
        process, self._process = self._process, None
        if process:
            process.end()
        self._removeFolders()

    def _removeFolders(self):
        """Remove the folders that nothing needs any more."""
        if self.job is not None:
            return
        for folder in self._discarded:
            shutil.rmtree(folder, ignore_errors=True)
        # on Windows a folder with an open file cannot be removed yet
        self._discarded = [folder for folder in self._discarded if folder.exists()]
        if self._process is None and self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


_worker = None


def sharedWorker():
    """The worker that all panels of this Slicer share."""
    global _worker
    _worker = _worker or SharedWorker()
    return _worker
