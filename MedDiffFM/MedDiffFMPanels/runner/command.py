"""Commands of meddiff-fm that run beside the worker, such as a batch or a download."""

import time

import qt
from slicer.i18n import tr as _

from MedDiffFMLib.crash_message import crash_message

from .. import failures
from ..failures import Failure
from .backend import savedBackend
from .process import WorkerProcess

INTERVAL = 100  # ms between two polls
CANCEL_SECONDS = 2.5  # a command that takes longer to cancel is killed, with all processes that it started
CANCELLED = 3  # exit code


class Command:
    """A running command. onEvent is called with each event; onEnd once with (exit code, failure): failure is None after
    success, and both are None after a cancel. Failure if the command cannot be started.
    """

    def __init__(self, words, onEvent, onEnd, backend=None):
        self._onEvent, self._onEnd, self._cancelTime = onEvent, onEnd, None
        self._backend = backend or savedBackend()
        try:
            self._process = WorkerProcess(self._backend, tuple(words))
        except (OSError, ValueError) as error:
            raise Failure("no-worker", str(error), _("Choose another place under Advanced, “Where it runs”.")) from None
        self._timer = qt.QTimer()
        self._timer.setInterval(INTERVAL)
        self._timer.connect("timeout()", self._poll)
        self._timer.start()

    @property
    def running(self):
        """Whether the command has not ended yet."""
        return self._process is not None

    @property
    def pid(self):
        """The id of the command's process, or None after its end."""
        return self._process.pid if self._process else None

    def cancel(self):
        """Ask the command to end; it is killed if that takes too long."""
        if self.running and self._cancelTime is None:
            self._cancelTime = time.monotonic()
            self._process.close()

    def abandon(self):
        """End the command at once, without calling `onEnd`."""
        if self.running:
            self._onEnd = lambda code, failure: None
            self._close(None, None)

    def _poll(self):
        code = self._process.exitCode  # before reading, so that no event is missed
        events = self._process.poll()
        for event in events:
            if self.running:  # onEvent may abandon the command
                self._onEvent(event)
        if not self.running or events:
            return
        if code is not None:
            cancelled = code == CANCELLED or self._cancelTime is not None
            self._close(*((None, None) if cancelled else self._outcome(code)))
        elif self._cancelTime is not None and time.monotonic() - self._cancelTime > CANCEL_SECONDS:
            self._close(None, None)

    def _outcome(self, code):
        if code == 0:
            return code, None
        messages = self._process.messages()
        sentence = crash_message(messages).removeprefix("meddiff-fm: ")
        if code == 2 and "No module named" not in sentence:
            return code, Failure("usage", sentence, "")
        return code, failures.died(code, messages, self._backend.kind == "slicer")

    def _close(self, code, failure):
        self._timer.stop()
        # a connection keeps its function alive, and all that the function refers to
        self._timer.disconnect("timeout()", self._poll)
        self._timer.deleteLater()
        process, self._process = self._process, None
        process.end(patience=0.2)
        onEnd, self._onEnd, self._onEvent = self._onEnd, None, None
        onEnd(code, failure)
