"""The Denoise panel with the real worker: a real CT, the bundled model, and what a user clicks."""

from __future__ import annotations

import json
import os
import signal
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from panels import add_chest, folders_left, group_is_gone, names_in_scene, to_ras
from patience import AT_ONCE, PATIENCE
from tiny_model import save_tiny_model
from turns import Turns

pytest.importorskip("slicer")
import harness
from harness import click, wait_until


@pytest.fixture
def chest(slicer):
    for view in ("Red", "Yellow", "Green"):
        slicer.app.layoutManager().sliceWidget(view)
    return add_chest(y=slice(40, 104), x=slice(40, 104))  # not the heart alone: noise is measured in soft tissue


@pytest.fixture
def panel(chest, open_panel):
    widget = open_panel("MedDiffFMDenoise")
    yield widget
    from MedDiffFMPanels.runner.job import sharedWorker

    widget.logic.abandon()
    widget.estimate.stop()
    sharedWorker().end()
    assert folders_left() == []


def choose(combo, key):
    index = combo.findData(key)
    assert index >= 0, key
    combo.setCurrentIndex(index)


def run(panel):
    click(panel.ui.runButton)
    wait_until(lambda: not panel.logic.busy, PATIENCE)


def worker_pid(panel):
    from MedDiffFMPanels.runner.job import sharedWorker

    wait_until(lambda: sharedWorker().pid is not None, PATIENCE)
    return sharedWorker().pid


def start_and_wait_for_worker(panel):
    """A run whose worker has accepted the job and computes nothing yet."""
    click(panel.ui.runButton)
    wait_until(lambda: panel.ui.statusLabel.text.startswith("Loading"), PATIENCE)
    return worker_pid(panel)


def test_a_run_from_the_first_click_to_the_result(slicer, chest, panel):
    """Noise shown before, result beside its source, provenance, the same voxels again; the window never hangs."""
    ui, before = panel.ui, slicer.util.arrayFromVolume(chest).copy()
    assert ui.inputSelector.currentNode() is chest and ui.runButton.enabled
    wait_until(lambda: "Measured" in ui.noiseLabel.text, PATIENCE)
    assert "A run takes about" in ui.estimateLabel.text and "GB of memory" in ui.estimateLabel.text
    noise = float(ui.noiseLabel.text.split()[1])
    choose(ui.qualityBox, "fast")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "Study")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(chest), folder)

    turns = Turns()
    click(ui.runButton)
    assert ui.runButton.text == "Cancel" and ui.progressBar.visible
    wait_until(lambda: not panel.logic.busy, PATIENCE)
    longest = turns.stop()

    assert ui.messageFrame.isHidden(), ui.messageLabel.text
    result = slicer.util.getNode("Chest denoised")
    voxels = slicer.util.arrayFromVolume(result).copy()
    assert voxels.dtype == before.dtype and np.allclose(to_ras(result), to_ras(chest))
    assert (slicer.util.arrayFromVolume(chest) == before).all(), "the input was changed"
    assert result.GetDisplayNode().GetWindow() == 700 and result.GetDisplayNode().GetLevel() == 100
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(result)) == folder
    record = json.loads(result.GetAttribute("MedDiffFM.provenance"))
    assert record["task"] == "denoise" and record["parameters"]["quality"] == "fast"
    assert record["source"]["size"] == [64, 64, 32] and result.GetAttribute("MedDiffFM.synthetic") == "false"
    assert record["facts"]["noise_before_hu"] == pytest.approx(noise, abs=0.51)
    assert record["facts"]["noise_after_hu"] < 0.6 * record["facts"]["noise_before_hu"]
    assert f"{record['facts']['noise_before_hu']:.0f} HU" in ui.resultLabel.text
    assert np.abs(voxels.astype(int) - before).max() <= 4 * record["facts"]["sigma_hu"] + 1

    pid = worker_pid(panel)
    run(panel)
    again = slicer.util.getNode("Chest denoised_1")
    assert worker_pid(panel) == pid, "the worker, and with it the model, was not kept"
    assert (slicer.util.arrayFromVolume(again) == voxels).all(), "the same seed gave other voxels"
    compare_views(slicer, panel, chest, again)
    turns.check(longest)


def compare_views(slicer, panel, source, result):
    ui, shown = panel.ui, background
    assert shown() == result.GetID()
    click(ui.inputViewButton)
    assert shown() == source.GetID()
    click(ui.differenceButton)
    change = slicer.mrmlScene.GetNodeByID(shown())
    difference = slicer.util.arrayFromVolume(result).astype(np.float32) - slicer.util.arrayFromVolume(source)
    assert (slicer.util.arrayFromVolume(change) == difference).all() and not change.GetSaveWithScene()
    click(ui.flickerButton)
    first = shown()
    wait_until(lambda: shown() != first)
    click(ui.sideButton)
    assert (background("Red"), background("Yellow")) == (source.GetID(), result.GetID())
    click(ui.resultViewButton)
    assert shown() == result.GetID()


def background(view="Red"):
    import slicer

    composite = slicer.app.layoutManager().sliceWidget(view).sliceLogic().GetSliceCompositeNode()
    return composite.GetBackgroundVolumeID()


def test_cancel_ends_every_process_at_once_and_leaves_the_scene(chest, panel):
    before = names_in_scene()
    choose(panel.ui.qualityBox, "paper")
    click(panel.ui.runButton)
    wait_until(lambda: panel.ui.statusLabel.text.startswith("Step"), PATIENCE)
    pid = worker_pid(panel)
    click(panel.ui.runButton)
    wait_until(lambda: not panel.logic.busy, AT_ONCE)
    assert group_is_gone(pid)
    assert names_in_scene() == before and panel.ui.messageLabel.text.startswith("Cancelled")
    assert panel.ui.runButton.text == "Run" and panel.ui.runButton.enabled


@pytest.mark.parametrize(
    ("number", "title", "advice"),
    [
        (signal.SIGSEGV, "The computation stopped unexpectedly.", "Click Run again"),
        (signal.SIGKILL, "The memory was not enough.", "limit the work to a box"),
    ],
)
def test_a_worker_that_dies(panel, number, title, advice):
    """SIGKILL that nobody here sent is what Linux does when memory runs out."""
    before = names_in_scene()
    os.kill(start_and_wait_for_worker(panel), number)
    wait_until(lambda: not panel.logic.busy, PATIENCE)
    assert title in panel.ui.messageLabel.text and advice in panel.ui.messageLabel.text
    assert panel.ui.runButton.enabled and names_in_scene() == before


def test_a_deleted_input_stops_the_run(slicer, chest, panel):
    pid = start_and_wait_for_worker(panel)
    slicer.mrmlScene.RemoveNode(chest)
    wait_until(lambda: not panel.logic.busy, AT_ONCE)
    assert "“Chest” was deleted" in panel.ui.messageLabel.text and group_is_gone(pid)
    assert names_in_scene() == [] and not panel.ui.runButton.enabled
    assert "no CT volume" in panel.ui.runButton.toolTip


def test_a_deleted_output_stops_the_run(slicer, chest, panel):
    target = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Mine")
    panel.ui.targetSelector.setCurrentNode(target)
    pid = start_and_wait_for_worker(panel)
    slicer.mrmlScene.RemoveNode(target)
    wait_until(lambda: not panel.logic.busy, AT_ONCE)
    assert "“Mine” was deleted" in panel.ui.messageLabel.text and group_is_gone(pid)


def test_a_closed_scene_stops_the_run(slicer, panel):
    pid = start_and_wait_for_worker(panel)
    slicer.mrmlScene.Clear(False)
    wait_until(lambda: not panel.logic.busy, AT_ONCE)
    assert "The scene was closed" in panel.ui.messageLabel.text and group_is_gone(pid)
    assert names_in_scene() == [] and not panel.ui.runButton.enabled


def test_a_closed_application_leaves_no_process_and_no_file(slicer, panel):
    pid = start_and_wait_for_worker(panel)
    slicer.app.aboutToQuit.emit()
    assert group_is_gone(pid) and folders_left() == []


def test_missing_weights(panel, monkeypatch):
    panel.bindings.node.SetParameter("model", "nowhere-model")
    monkeypatch.setattr(panel, "parameters", lambda: {"model": "nowhere-model"})
    run(panel)
    assert "weights are missing" in panel.ui.messageLabel.text and "nowhere-model" in panel.ui.messageLabel.text
    assert "Choose another model under Advanced" in panel.ui.messageLabel.text


def test_a_full_disk(panel, monkeypatch):
    """/dev/full answers as a full disk does."""
    from MedDiffFMPanels.scene import nrrd, written_volume

    monkeypatch.setattr(written_volume, "writeNrrd", lambda path, *rest: nrrd.writeNrrd("/dev/full", *rest))
    before = names_in_scene()
    run(panel)
    assert "The disk is full" in panel.ui.messageLabel.text and "Free some space" in panel.ui.messageLabel.text
    assert names_in_scene() == before


def test_settings_survive_saving_and_loading_the_scene(slicer, chest, panel, tmp_path):
    ui = panel.ui
    choose(ui.qualityBox, "paper")
    choose(ui.sigmaBox, "own")
    ui.sigmaSlider.value = 42
    choose(ui.regionBox, "abdomen")
    ui.seedBox.value = 7
    ui.stepsBox.value = 4
    values = panel.parameters()
    assert values["sigma"] == "42" and values["seed"] == "7" and values["quality"] == "paper"
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    assert panel.parameters()["seed"] == "0" and ui.seedBox.value == 0
    load_scene(slicer, tmp_path / "scene.mrb")
    assert panel.parameters() == values
    assert (ui.seedBox.value, ui.stepsBox.value, ui.sigmaSlider.value) == (7, 4, 42)
    assert ui.inputSelector.currentNode().GetName() == "Chest"


def load_scene(slicer, path):
    """What loading an .mrb does: unpack it, and read the .mrml inside."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(path.parent)
    (mrml,) = path.parent.glob("*/*.mrml")
    slicer.mrmlScene.SetURL(str(mrml))
    slicer.mrmlScene.SetRootDirectory(str(mrml.parent))
    assert slicer.mrmlScene.Connect()
    slicer.app.processEvents()


def test_a_result_survives_saving_and_loading_the_scene(slicer, chest, tmp_path):
    from MedDiffFMPanels.scene.exchange import addResult, ijkToRAS, provenanceOf, sourceOf

    record = {"task": "denoise", "synthetic": True, "facts": {"words": 'a;b:c "d" é → <e>'}}
    voxels = slicer.util.arrayFromVolume(chest) + 1
    result = addResult(chest, voxels, ijkToRAS(chest), "Chest denoised", record)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    load_scene(slicer, tmp_path / "scene.mrb")
    result = slicer.util.getNode("Chest denoised")
    assert provenanceOf(result) == record and result.GetAttribute("MedDiffFM.synthetic") == "true"
    assert sourceOf(result).GetName() == "Chest" and (slicer.util.arrayFromVolume(result) == voxels).all()


def test_why_run_is_disabled(slicer, chest, panel):
    button = panel.ui.runButton
    import vtk

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Shift")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 12)
    transform.SetMatrixTransformToParent(matrix)
    chest.SetAndObserveTransformNodeID(transform.GetID())
    panel.update()
    assert not button.enabled and "“Shift”" in button.toolTip and not panel.ui.fixButton.isHidden()
    before = to_ras(chest)
    harness.dialogs.answer("cancel")
    click(panel.ui.fixButton)
    assert "“Chest” itself will be changed" in harness.dialogs.shown[-1].text
    assert chest.GetParentTransformNode() is transform and np.array_equal(to_ras(chest), before)
    harness.dialogs.answer("ok")
    click(panel.ui.fixButton)
    assert to_ras(chest)[0, 3] == before[0, 3] + 12
    assert button.enabled and chest.GetParentTransformNode() is None

    picture = slicer.util.addVolumeFromArray(np.random.default_rng(0).integers(0, 255, (8, 16, 16)).astype(np.uint8))
    panel.ui.inputSelector.setCurrentNode(picture)
    assert not button.enabled and "8-bit" in button.toolTip
    panel.ui.inputSelector.setCurrentNode(chest)
    choose(panel.ui.areaBox, "box")
    assert not button.enabled and "no box yet" in button.toolTip
    click(panel.ui.newBoxButton)
    assert button.enabled and len(panel.parameters()) > 0
    choose(panel.ui.anatomyBox, "segmentation")
    assert not button.enabled and "segmentation" in button.toolTip


def test_copy_as_command(panel):
    import qt

    choose(panel.ui.qualityBox, "paper")
    panel.ui.seedBox.value = 3
    panel.ui.copyButton.click()
    words = qt.QApplication.clipboard().text().split()
    assert words[:4] == ["meddiff-fm", "denoise", "Chest.nii.gz", "OUTPUT.nii.gz"]
    assert "--quality" in words and "paper" in words and "--seed" in words and "--region" not in words


def test_behind_a_command_volumes_pass_within_the_lines(slicer, chest, panel, tmp_path, monkeypatch):
    """As behind `ssh host meddiff-fm worker`; nothing is asked before a run there. The model is a tiny one."""
    save_tiny_model(tmp_path / "models" / "tiny")
    monkeypatch.setenv("MEDDIFF_FM_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    panel.advanced.listModels()
    choose(panel.ui.backendBox, "command")
    try:
        type_command(panel, f"{sys.executable} -m MedDiffFMLib worker")
        panel.ui.testButton.click()
        wait_until(lambda: panel.ui.testButton.enabled, PATIENCE)
        assert "PyTorch" in panel.ui.systemLabel.text and "tiny" in panel.ui.systemLabel.text
        choose(panel.ui.modelBox, "tiny")
        choose(panel.ui.qualityBox, "fast")
        run(panel)
        result = slicer.util.getNode("Chest denoised")
        assert slicer.util.arrayFromVolume(result).shape == slicer.util.arrayFromVolume(chest).shape
        assert json.loads(result.GetAttribute("MedDiffFM.provenance"))["model"]["name"] == "tiny"
        assert panel.ui.estimateLabel.text == "", "a volume was sent before Run was clicked"
        type_command(panel, "/nowhere/ssh host")
        panel.ui.testButton.click()
        wait_until(lambda: panel.ui.testButton.enabled, PATIENCE)
        assert "could not be started" in panel.ui.systemLabel.text
    finally:
        choose(panel.ui.backendBox, "slicer")


def type_command(panel, text):
    import qt

    panel.ui.backendEdit.clear()
    harness.type_text(panel.ui.backendEdit, text)
    harness.press(panel.ui.backendEdit, qt.Qt.Key_Return)


def test_the_preview_takes_the_inputs_place_and_leaves_no_trace(slicer, chest, tmp_path):
    from MedDiffFMPanels.scene.exchange import ijkToRAS
    from MedDiffFMPanels.scene.nrrd import writeNrrd
    from MedDiffFMPanels.views.preview import Preview

    slicer.util.setSliceViewerLayers(background=chest)
    before, preview, path = names_in_scene(), Preview(), tmp_path / "preview.nrrd"
    for _ in writeNrrd(path, slicer.util.arrayFromVolume(chest)[::2, ::2, ::2].copy(), ijkToRAS(chest)):
        pass
    preview.begin(chest)
    preview.show(path)
    shown = slicer.mrmlScene.GetNodeByID(background())
    assert shown.GetName() == "Preview" and shown.GetHideFromEditors() and not shown.GetSaveWithScene()
    assert shown.GetDisplayNode().GetWindow() == 700
    path.write_bytes(path.read_bytes()[:500])  # as if it were just being replaced
    preview.show(path)
    preview.end()
    assert background() == chest.GetID() and names_in_scene() == before


def test_without_a_main_window(slicer, chest, open_panel):
    """As in `Slicer --no-main-window`: there are no views."""
    with harness.without_main_window():
        panel = open_panel("MedDiffFMDenoise")
        panel.estimate.stop()
        assert slicer.app.layoutManager() is None and panel.ui.runButton.enabled
        panel.result.show([chest], chest)
        panel.result.compare("side")


def test_a_picture_can_be_made(panel, tmp_path):
    harness.screenshot(panel, tmp_path / "panel.png")
    assert (tmp_path / "panel.png").stat().st_size > 10_000
