"""The worker that all panels share: started when it is first needed, ended when it has been idle for a while."""

import atexit
import shutil
import tempfile
from pathlib import Path

import qt
from slicer.i18n import tr as _

from ..failures import Failure
from .process import WorkerProcess, temporaryFolder

IDLE_SECONDS = 300.0  # a worker that has had nothing to do so long gives its memory back, the graphics card's too
LEFT_SECONDS = 15.0  # and so soon once no panel of ours is seen: another module may need it
MAX_EVENT_BYTES = 1 << 29  # bytes of events that may lie on the disk before the worker is started anew


class SharedWorker:
    """The one worker of this Slicer, started when first needed; it keeps its model loaded between jobs, but not for
    ever.
    """

    def __init__(self):
        self._process, self._folder, self._timer, self._panelOpen = None, None, None, True
        self._discarded = []  # folders within the own one that no later job needs
        self.job = None  # the one that runs
        atexit.register(self.end)

    @property
    def folder(self):
        """A private folder, there as long as a job or the process is: the process works in it, so that a path in it
        can be named without the folders above, whose names may have letters that ITK cannot open on Windows.
        """
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="MedDiffFM-", dir=temporaryFolder()))
        return self._folder

    def relativePath(self, path):
        """A path in the folder as the worker finds it from where it works."""
        return path.relative_to(self.folder).as_posix()

    def discard(self, folder):
        """Remove a folder in `folder` as soon as no job may read what it holds."""
        self._discarded.append(folder)
        self._removeFolders()

    def process(self, backend):
        """A running worker at `backend`. Failure if it cannot be started."""
        if self._process and (self._process.backend != backend or not self._process.running):
            self.end()
        if self._process is None:
            try:
                self._process = WorkerProcess(backend, home=self.folder)
            except (OSError, ValueError) as error:
                next = _("Choose another place under Advanced, “Where it runs”.")
                raise Failure("no-worker", str(error), next) from None
        return self._process

    @property
    def pid(self):
        """The id of the worker's process, or None while there is none."""
        return self._process.pid if self._process and self._process.running else None

    def log(self):
        return self._process.messages() if self._process else ""

    def panelEntered(self):
        """Note that a panel is shown: an idle worker stays for `IDLE_SECONDS`."""
        self._panelOpen = True
        self.restartIdleTimer()

    def panelLeft(self):
        """Note that no panel is shown: a job goes on, an idle worker ends after `LEFT_SECONDS`."""
        self._panelOpen = False
        self.restartIdleTimer()

    def restartIdleTimer(self):
        """Start counting idle time anew; called when a job has ended."""
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
        """End the process, whatever it does, and all that it started."""
        process, self._process = self._process, None
        if process:
            process.end()
        self._removeFolders()

    def _removeFolders(self):
        if self.job is not None:
            return
        for folder in self._discarded:
            shutil.rmtree(folder, ignore_errors=True)
        # on Windows what is being read stays until a later time
        self._discarded = [folder for folder in self._discarded if folder.exists()]
        if self._process is None and self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


_worker = None


def sharedWorker():
    global _worker
    _worker = _worker or SharedWorker()
    return _worker
