"""What all six panels promise, of each of them: the real worker with a tiny model, and every way for a run to end."""

from __future__ import annotations

import time

import numpy as np
import pytest
from every_task import MODULES, add_both, make_ready
from lesion_run import use_tiny_model_with_controls
from panel_run import end, run
from panels import folders_left, group_is_gone, names_in_scene
from patience import PATIENCE

pytest.importorskip("slicer")
from harness import click, wait_until

NODES_OF = {"GenerateLesion": 2, "InpaintLesion": 2}  # that a run reads; else one


@pytest.fixture
def open_ready(slicer, open_panel, tmp_path, monkeypatch):
    use_tiny_model_with_controls(tmp_path, monkeypatch)
    for view in ("Red", "Yellow", "Green"):
        slicer.app.layoutManager().sliceWidget(view)
    opened = []

    def open_(name, **settings):
        opened.append(open_panel(f"MedDiffFM{name}"))
        make_ready(opened[-1], **settings)
        return opened[-1]

    yield open_
    for panel in opened:
        end(panel)


def pid_when(panel, words):
    """The worker's process, once the panel says so."""
    from MedDiffFMPanels.job import sharedWorker

    click(panel.ui.runButton)
    wait_until(lambda: panel.ui.statusLabel.text.startswith(words), PATIENCE)
    return sharedWorker().pid


def results_in_scene():
    import slicer

    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return [node for node in volumes if node.GetAttribute("MedDiffFM.provenance")]


def test_each_task_twice_and_once_more_after_loading(slicer, open_ready, tmp_path):
    """The same seed gives the same voxels under another name; beside its source, with window, record and seed; all of
    it is there again in a loaded scene.
    """
    from test_denoise_panel import load_scene

    _chest, folder = add_both()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    for name in MODULES:
        panel, before = open_ready(name), results_in_scene()
        run(panel)
        run(panel)
        assert panel.ui.messageFrame.isHidden(), (name, panel.ui.messageLabel.text)
        first, second = [node for node in results_in_scene() if node not in before]
        assert np.array_equal(*map(slicer.util.arrayFromVolume, (first, second))), f"{name}: other voxels"
        assert second.GetName() == first.GetName() + "_1"
        for node in (first, second):
            assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == folder, name
            check_record(node, panel)
    known = {node.GetName(): state(node) for node in results_in_scene()}
    assert len(known) == 12
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    load_scene(slicer, tmp_path / "scene.mrb")
    loaded = {node.GetName(): state(node) for node in results_in_scene()}
    assert loaded.keys() == known.keys()
    for name, (voxels, *rest) in known.items():
        assert np.array_equal(loaded[name][0], voxels) and loaded[name][1:] == tuple(rest), name


def check_record(node, panel):
    from MedDiffFMPanels.exchange import provenanceOf, sourceOf

    record, source = provenanceOf(node), sourceOf(node)
    assert record["task"] == panel.logic.task and record["model"]["name"] == "tiny"
    assert record["parameters"]["seed"] == 3 and source is panel.inputNode
    made_up = panel.logic.task in ("synthesize", "generate-lesion", "inpaint-lesion")
    assert node.GetAttribute("MedDiffFM.synthetic") == ("true" if made_up else "false")
    display = node.GetDisplayNode()
    shown = (display.GetWindow(), display.GetLevel())
    if source.IsA("vtkMRMLSegmentationNode"):
        assert shown == (400, 50)
    elif panel.logic.task != "detect-anomalies":
        assert shown == (700, 100), panel.logic.task


def state(node):
    import slicer

    from MedDiffFMPanels.exchange import ijkToRAS, provenanceOf, sourceOf

    display = node.GetDisplayNode()
    matrix = ijkToRAS(node).round(4).tolist()
    voxels = slicer.util.arrayFromVolume(node).copy()
    return voxels, matrix, provenanceOf(node), sourceOf(node).GetName(), display.GetWindow(), display.GetLevel()


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name in MODULES for number in range(NODES_OF.get(name, 1) + 1)]
)
def test_a_deleted_node_stops_each_task(slicer, open_ready, name, number):
    """Every node that a run reads, and the one that it is to fill; what was there before stays."""
    add_both()
    target = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Mine")
    panel = open_ready(name)
    panel.ui.targetSelector.setCurrentNode(target)
    pid = pid_when(panel, "Loading")
    node = [*panel.inputs().values(), target][number]
    deleted, others = node.GetName(), {"Chest", "Mine"} - {node.GetName()}
    slicer.mrmlScene.RemoveNode(node)
    wait_until(lambda: not panel.logic.busy, PATIENCE)
    assert f"“{deleted}” was deleted" in panel.ui.messageLabel.text, panel.ui.messageLabel.text
    assert "Choose a volume" in panel.ui.messageLabel.text
    wait_until(lambda: group_is_gone(pid), 3)
    assert others <= set(names_in_scene()) and results_in_scene() == []
    assert not [folder for folder in folders_left() if "job" in folder]


@pytest.mark.parametrize("name", ["Synthesize", "InpaintLesion"])
def test_cancel_among_several_versions(slicer, open_ready, name):
    """After the first steps of the first of three: within 3 s, and none of them in the scene."""
    add_both()
    panel = open_ready(name, steps=40)
    panel.ui.samplesSpin.value = 3
    before = names_in_scene()
    pid, asked = pid_when(panel, "Step"), time.monotonic()
    click(panel.ui.runButton)
    wait_until(lambda: not panel.logic.busy, 10)
    assert time.monotonic() - asked < 3 and group_is_gone(pid)
    assert names_in_scene() == before and panel.ui.messageLabel.text.startswith("Cancelled")
