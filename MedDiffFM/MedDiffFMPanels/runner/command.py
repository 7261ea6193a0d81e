"""A command of meddiff-fm beside the worker, such as a batch or a download: its events, its end, its cancel."""

import time

import qt
from slicer.i18n import tr as _

from MedDiffFMLib.crash_message import crash_message

from .. import failures
from ..failures import Failure
from .backend import savedPlace
from .process import WorkerProcess

INTERVAL = 100  # ms between the looks at its events
CANCEL_SECONDS = 2.5  # what has not ended by itself so long after it was asked to is killed, with all that it started
CANCELLED = 3  # exit code


class Command:
    """onEvent takes its events; onEnd is called once with (exit code, failure): failure is None if it worked, and both
    are None after a cancel.
    """

    def __init__(self, words, onEvent, onEnd, place=None):
        self._onEvent, self._onEnd, self._asked = onEvent, onEnd, None
        self._place = place or savedPlace()
        try:
            self._process = WorkerProcess(self._place, tuple(words))
        except (OSError, ValueError) as error:
            raise Failure("no-worker", str(error), _("Choose another place under Advanced, “Where it runs”.")) from None
        self._timer = qt.QTimer()
        self._timer.setInterval(INTERVAL)
        self._timer.connect("timeout()", self._turn)
        self._timer.start()

    @property
    def running(self):
        return self._process is not None

    @property
    def pid(self):
        return self._process.pid if self._process else None

    def cancel(self):
        """Ask it to end; it is killed if that takes too long."""
        if self.running and self._asked is None:
            self._asked = time.monotonic()
            self._process.close()

    def abandon(self):
        """End it at once, and tell nobody."""
        if self.running:
            self._onEnd = lambda code, failure: None
            self._close(None, None)

    def _turn(self):
        code = self._process.exitCode  # before reading: nothing that it wrote is missed
        events = self._process.poll()
        for event in events:
            if self.running:  # it may be abandoned by what it tells
                self._onEvent(event)
        if not self.running or events:
            return
        if code is not None:
            cancelled = code == CANCELLED or self._asked is not None
            self._close(*((None, None) if cancelled else self._outcome(code)))
        elif self._asked is not None and time.monotonic() - self._asked > CANCEL_SECONDS:
            self._close(None, None)

    def _outcome(self, code):
        if code == 0:
            return code, None
        said = self._process.messages()
        sentence = crash_message(said).removeprefix("meddiff-fm: ")
        if code == 2 and "No module named" not in sentence:
            return code, Failure("usage", sentence, "")
        return code, failures.died(code, said, self._place.kind == "slicer")

    def _close(self, code, failure):
        self._timer.stop()
        self._timer.disconnect("timeout()", self._turn)  # what is connected lives as long as the timer
        self._timer.deleteLater()
        process, self._process = self._process, None
        process.end(patience=0.2)
        onEnd, self._onEnd, self._onEvent = self._onEnd, None, None
        onEnd(code, failure)
