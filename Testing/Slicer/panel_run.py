"""What a user does with a panel."""

from __future__ import annotations

import warm_worker
from harness import click, wait_until
from panels import folders_left
from patience import PATIENCE


def choose(combo, key):
    index = combo.findData(key)
    assert index >= 0, key
    combo.setCurrentIndex(index)


def run(panel):
    """Click Run, and wait for the end."""
    assert panel.ui.runButton.enabled, panel.ui.runButton.toolTip
    click(panel.ui.runButton)
    wait_until(lambda: not panel.logic.busy, PATIENCE)


def end(panel):
    """The panel's work, and its worker unless that is kept warm, without a trace."""
    from MedDiffFMPanels.runner.job import sharedWorker

    panel.logic.abandon()
    panel.estimate.stop()
    warm_worker.rest()
    if not sharedWorker().pid:
        assert folders_left() == []
