"""Memory and disk that truly run out in the worker, and the preview of a run that truly computes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from panel_run import choose, end, run
from panels import add_chest, folders_left, names_in_scene
from patience import PATIENCE

pytest.importorskip("slicer")
from harness import click, wait_until


@pytest.fixture
def chest(slicer):
    for view in ("Red", "Yellow", "Green"):
        slicer.app.layoutManager().sliceWidget(view)
    node = add_chest()
    slicer.util.setSliceViewerLayers(background=node)
    return node


@pytest.fixture
def panel(chest, open_panel):
    widget = open_panel("MedDiffFMDenoise")
    choose(widget.ui.qualityBox, "fast")
    yield widget
    end(widget)


def test_memory_that_runs_out(chest, panel):
    """The system refuses the worker any more memory than it has after a look: no memory for the model."""
    resource = pytest.importorskip("resource")
    if not hasattr(resource, "prlimit"):
        pytest.skip("limits of another process: Linux alone")
    from MedDiffFMPanels.job import sharedWorker

    wait_until(lambda: "A run takes about" in panel.ui.estimateLabel.text, PATIENCE)
    before, pid = names_in_scene(), sharedWorker().pid
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    resource.prlimit(pid, resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE"),) * 2)
    run(panel)
    words = panel.ui.messageLabel.text
    assert "The memory was not enough." in words and "limit the work to a box" in words
    assert names_in_scene() == before and panel.ui.runButton.enabled
    assert not [name for name in folders_left() if "job" in name]
    assert sharedWorker().pid is None, "a worker without memory was kept"


def may_mount():
    """Whether a file system of its own may be given to a process here."""
    tools = all(map(shutil.which, ("unshare", "mount")))
    return tools and subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]).returncode == 0


def test_a_disk_of_the_worker_that_is_full(chest, panel, tmp_path, monkeypatch):
    """Behind a command, whose temporary folder is a disk of 64 KB; the volume has 256 KB."""
    if sys.platform != "linux" or not may_mount():
        pytest.skip("no file system may be mounted here")
    small = tmp_path / "small"
    small.mkdir()
    program = tmp_path / "worker.sh"
    program.write_text(
        f"mount -t tmpfs -o size=64k none '{small}'\nTMPDIR='{small}' exec '{sys.executable}' -m MedDiffFMLib worker\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    from MedDiffFMPanels.place import Place

    panel.lookAhead.stop()
    monkeypatch.setattr(type(panel.advanced), "place", Place("command", "", f"unshare -rm sh {program}"))
    before = names_in_scene()
    run(panel)
    words = panel.ui.messageLabel.text
    assert "The disk is full." in words and "Free some space on the disk" in words
    assert names_in_scene() == before and not [name for name in folders_left() if "job" in name]


def backgrounds():
    import slicer

    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return {composite.GetLayoutName(): composite.GetBackgroundVolumeID() for composite in composites}


def preview_is_shown():
    import slicer

    shown = slicer.mrmlScene.GetNodeByID(backgrounds()["Red"] or "")
    return shown is not None and shown.GetName() == "Preview"


def test_the_preview_of_a_run(slicer, chest, panel):
    """The worker's own estimate in the views while it computes, in HU and where the CT lies; taken away by a cancel
    and by the end.
    """
    import numpy as np

    panel.lookAhead.stop()  # a fresh worker takes more than 2 s to its first step, and so shows it
    before, shown, names = backgrounds(), slicer.util.getNodesByClass("vtkMRMLVolumeDisplayNode"), names_in_scene()
    choose(panel.ui.qualityBox, "paper")
    click(panel.ui.runButton)
    wait_until(preview_is_shown, PATIENCE)
    node = slicer.mrmlScene.GetNodeByID(backgrounds()["Red"])
    mine, its = [0.0] * 6, [0.0] * 6
    node.GetRASBounds(mine)
    chest.GetRASBounds(its)
    assert np.allclose(mine, its, atol=2.0)
    voxels = slicer.util.arrayFromVolume(node)
    assert voxels.min() > -1100 and abs(voxels.mean() - slicer.util.arrayFromVolume(chest).mean()) < 100
    click(panel.ui.runButton)
    wait_until(lambda: not panel.logic.busy, 10)
    assert backgrounds() == before and names_in_scene() == names
    assert slicer.util.getNodesByClass("vtkMRMLVolumeDisplayNode") == shown

    choose(panel.ui.qualityBox, "fast")
    seen = []
    click(panel.ui.runButton)
    wait_until(lambda: (preview_is_shown() and seen.append(1)) or not panel.logic.busy, PATIENCE)
    assert seen, "the run ended without a preview"
    result = slicer.util.getNode("Chest denoised")
    assert set(backgrounds().values()) == {result.GetID()} and "Preview" not in names_in_scene()
