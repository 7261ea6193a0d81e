"""What a user does with a panel, and a tiny model for where the quality does not matter."""

from __future__ import annotations

import gc
import time

import numpy as np
from harness import click, wait_until
from patience import PATIENCE
from tiny_model import save_tiny_model


def choose(combo, key):
    index = combo.findData(key)
    assert index >= 0, key
    combo.setCurrentIndex(index)


def run(panel):
    """Click Run, and wait for the end."""
    assert panel.ui.runButton.enabled, panel.ui.runButton.toolTip
    click(panel.ui.runButton)
    wait_until(lambda: not panel.logic.busy, PATIENCE)


def use_tiny_model(folder, monkeypatch):
    """The only model installed in the user's folder, for panels that are opened from now on: choose "tiny"."""
    save_tiny_model(folder / "models" / "tiny")
    monkeypatch.setenv("MEDDIFF_FM_HOME", str(folder))


def end(panel):
    """The panel's work and its worker, without a trace."""
    from panels import folders_left

    from MedDiffFMPanels.job import sharedWorker

    panel.logic.abandon()
    panel.lookAhead.stop()
    sharedWorker().end()
    assert folders_left() == []


class Turns:
    """How long Slicer stands still between two turns of its event loop, in seconds of the clock on the wall: that the
    main thread waits for a disk or a pipe counts as much as that it computes.
    """

    def __init__(self):
        import qt

        gc.collect()  # what earlier tests left: not this panel's to clear up
        self._times, self._timer = [time.monotonic()], qt.QTimer()
        self._timer.connect("timeout()", lambda: self._times.append(time.monotonic()))
        self._timer.start(5)

    def longest(self):
        self._timer.stop()
        return max(np.diff([*self._times, time.monotonic()]))
