"""A worker that really runs out of memory and of room for files: the system's own limits, set while it idles."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from panel_run import choose, end, run
from panels import add_chest, group_is_gone, names_in_scene
from patience import PATIENCE

pytest.importorskip("slicer")
pytest.importorskip("resource")
import resource

from harness import wait_until

pytestmark = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits a process that runs")


@pytest.fixture
def panel(slicer, bundled_home, open_panel):
    """Denoise with the bundled model, whose worker has looked at the CT and waits."""
    add_chest()
    widget = open_panel("MedDiffFMDenoise")
    choose(widget.ui.qualityBox, "fast")
    wait_until(lambda: "A run takes about" in widget.ui.estimateLabel.text, PATIENCE)
    yield widget
    end(widget)


def worker():
    from MedDiffFMPanels.runner.job import sharedWorker

    return sharedWorker().pid


def address_space(pid: int) -> int:
    """Bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


def limit(kind, number):
    resource.prlimit(worker(), kind, (number, resource.RLIM_INFINITY))


def test_the_memory_runs_out(panel):
    before, pid = names_in_scene(), worker()
    limit(resource.RLIMIT_AS, address_space(pid) + (1 << 20))
    run(panel)
    text = panel.ui.messageLabel.text
    assert "The memory was not enough." in text and "limit the work to a box" in text
    assert names_in_scene() == before and group_is_gone(pid), "what holds the memory was left"
    assert panel.ui.runButton.enabled


def test_no_room_for_the_result(panel):
    """A result of 262 kB where files end at 100 kB; the model stays loaded."""
    before, pid = names_in_scene(), worker()
    limit(resource.RLIMIT_FSIZE, 100_000)
    run(panel)
    text = panel.ui.messageLabel.text
    assert "The disk is full" in text and "Free some space" in text, text
    assert names_in_scene() == before and worker() == pid
    limit(resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
    run(panel)
    assert panel.ui.messageFrame.isHidden(), panel.ui.messageLabel.text
