"""The harness runs an ordinary scripted module: opened, clicked, rendered, cancelled."""

import os
from pathlib import Path

import numpy as np
import pytest
from harness import click, screenshot, wait_until
from turns import Turns

FAKE = Path(__file__).parent / "fake" / "FakeDenoise" / "FakeDenoise.py"


@pytest.fixture
def ct(slicer):
    rng = np.random.default_rng(0)
    _z, y, x = np.mgrid[0:32, 0:96, 0:96]
    body = np.where(((x - 48) / 40) ** 2 + ((y - 48) / 30) ** 2 < 1, 40, -1000)
    voxels = (body + rng.normal(0, 150, x.shape)).astype(np.int16)
    ijk_to_ras = np.diag([-2.0, -2, 3, 1])
    ijk_to_ras[:3, 3] = [96, 96, -48]
    return slicer.util.addVolumeFromArray(voxels, ijkToRAS=ijk_to_ras, name="NoisyCT")


@pytest.fixture
def w(ct, open_panel):
    return open_panel(FAKE)


def test_apply(slicer, w, ct, tmp_path):
    assert w.ui.inputSelector.currentNode() is ct and w.ui.applyButton.enabled
    w.ui.strengthSlider.value = 3
    assert w.logic.getParameterNode().GetParameter("Strength") == "3.0"
    w.parent.resize(440, 420)
    before = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    click(w.ui.applyButton)
    assert w.logic.busy and not w.ui.applyButton.enabled and w.ui.cancelButton.enabled
    wait_until(lambda: w.ui.progressBar.value > 30)
    wait_until(lambda: not w.logic.busy)
    assert w.ui.statusLabel.text == "Done"
    out = w.ui.outputSelector.currentNode()
    assert (
        out.GetName() == "Denoised"
        and slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == before + 1
    )
    a, b = slicer.util.arrayFromVolume(ct), slicer.util.arrayFromVolume(out)
    assert a.shape == b.shape and b[:, 40:56, 40:56].std() < a[:, 40:56, 40:56].std() / 3
    sh = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    assert sh.GetItemByDataNode(out)
    slicer.util.setSliceViewerLayers(background=out, fit=True)
    slicer.app.layoutManager().sliceWidget("Red").fitSliceToBackground()
    screenshot(w, tmp_path / "desktop.png")
    assert slicer.app.layoutManager().sliceWidget("Red").grab().std() > 10


def test_cancel(slicer, w, ct):
    w.ui.strengthSlider.value = 10
    click(w.ui.applyButton)
    wait_until(lambda: w.ui.progressBar.value > 5)
    pid = w.logic._job.proc.pid
    click(w.ui.cancelButton)
    wait_until(lambda: not w.logic.busy)
    assert w.ui.statusLabel.text == "Cancelled" and w.ui.applyButton.enabled
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_close_scene_while_running(slicer, w, ct):
    w.ui.strengthSlider.value = 10
    click(w.ui.applyButton)
    wait_until(lambda: w.ui.progressBar.value > 5)
    slicer.mrmlScene.Clear(False)
    wait_until(lambda: not w.logic.busy)
    assert w.ui.inputSelector.currentNode() is None and not w.ui.applyButton.enabled


def test_user_selects_output_through_the_combo(slicer, w, ct):
    c = w.ui.outputSelector._combo
    i = c.findData("add:vtkMRMLScalarVolumeNode")
    c.activated.emit(i)
    assert w.ui.outputSelector.currentNode().GetName() == "Denoised"
    slicer.mrmlScene.RemoveNode(w.ui.outputSelector.currentNode())
    assert w.ui.outputSelector.currentNode() is None


def test_selftest(slicer, w, ct):
    slicer.modules.FakeDenoiseInstance.runTest()


def test_window_stays_responsive(slicer, w, ct):
    w.ui.strengthSlider.value = 5
    turns = Turns()
    click(w.ui.applyButton)
    wait_until(lambda: not w.logic.busy)
    turns.check()
