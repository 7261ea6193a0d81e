"""What a user does with a panel, and a tiny model for where the quality does not matter."""

from __future__ import annotations

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
