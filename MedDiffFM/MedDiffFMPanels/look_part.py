"""What a run would take, and what the worker sees in the input: asked for a moment after the last change."""

import qt
from slicer.i18n import tr as _

from .failures import Failure
from .input_part import quiet
from .job import sharedWorker
from .run_part import timeInWords

DELAY_MS = 700


class LookPart:
    """Asks only where the packages are there; a run goes first."""

    def __init__(self, panel):
        self._panel = panel
        self._logic = panel.makeLogic()
        self._known = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY_MS)
        self._timer.connect("timeout()", self._ask)

    @property
    def busy(self):
        return self._logic.busy

    def schedule(self, problem):
        """Something has changed."""

    def forget(self):
        self._known = None

    def stop(self):
        self._timer.stop()
        self._logic.abandon()

    def _ask(self):
        pass
