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

    from MedDiffFMPanels.runner.job import sharedWorker

    panel.logic.abandon()
    panel.lookAhead.stop()
    sharedWorker().end()
    assert folders_left() == []


class Turns:
    """How long Slicer stands still between two turns of its event loop: what its main thread computes by the CPU's
    clock, which other processes do not move, and what it waits for a disk or a pipe by the clock on the wall.
    """

    COMPUTED, WAITED = 0.3, 3.0  # seconds that nobody notices; that no other process explains

    def __init__(self):
        import qt

        gc.collect()  # what earlier tests left: not this panel's to clear up
        self._times, self._timer = [self._now()], qt.QTimer()
        self._timer.connect("timeout()", lambda: self._times.append(self._now()))
        self._timer.start(5)

    def stop(self):
        """The longest turn: seconds computed and seconds passed."""
        self._timer.stop()
        return np.diff([*self._times, self._now()], axis=0).max(axis=0)

    def check(self, longest=None):
        computed, passed = self.stop() if longest is None else longest
        assert computed < self.COMPUTED, f"Slicer's main thread computed for {computed:.2f} s in one turn"
        assert passed < self.WAITED, f"Slicer stood still for {passed:.2f} s"

    @staticmethod
    def _now():
        return time.thread_time(), time.monotonic()
