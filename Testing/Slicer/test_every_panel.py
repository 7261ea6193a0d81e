"""What all six panels promise of their results and their failures, asked of each; the model is a tiny one."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from lesion_run import wait_for_button
from panel_run import choose, end, run
from panels import DATA, add_chest, group_is_gone, to_ras
from patience import AT_ONCE, PATIENCE

pytest.importorskip("slicer")
from harness import click, in_sight, leave_module, paint_ball, wait_until

CROP = {"z": slice(50, 74), "y": slice(20, 60), "x": slice(20, 60)}  # of the chest: lungs, heart, aorta
# module: what it works on, what it calls its first result
PANELS = {
    "MedDiffFMDenoise": ("ct", "Chest denoised"),
    "MedDiffFMDetectAnomalies": ("ct", "Chest deviation"),
    "MedDiffFMSuperResolve": ("ct", "Chest, 0.75 mm slices"),
    "MedDiffFMInpaintLesion": ("ct", "Chest with lesion, seed 1234567"),
    "MedDiffFMSynthesize": ("organs", "Organs synthetic CT, seed 1234567"),
    "MedDiffFMGenerateLesion": ("organs", "Organs synthetic CT with lesion, seed 1234567"),
}
SYNTHETIC = ("MedDiffFMInpaintLesion", "MedDiffFMSynthesize", "MedDiffFMGenerateLesion")


@pytest.fixture
def study(slicer, tiny_home_with_controls):
    """A chest and its organs in a folder of the subject hierarchy."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "Study")
    chest = add_chest(**CROP)
    nodes = {"ct": chest, "organs": add_organs(chest)}
    for node in nodes.values():
        item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(folder, node)
        hierarchy.SetItemParent(item, folder)
    return nodes


def add_organs(chest):
    import slicer

    names = json.loads((DATA / "labels.json").read_text(encoding="utf-8"))["chest_ts_aorta"]
    whole = slicer.util.loadLabelVolume(str(DATA / "chest_ts_aorta_seg.nii.gz"), {"show": False})
    voxels = slicer.util.arrayFromVolume(whole)[CROP["z"], CROP["y"], CROP["x"]].copy()
    slicer.mrmlScene.RemoveNode(whole)
    kind = "vtkMRMLLabelMapVolumeNode"
    labels = slicer.util.addVolumeFromArray(voxels, ijkToRAS=to_ras(chest), name="Labels", nodeClassName=kind)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(labels)
    slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labels, node)
    slicer.mrmlScene.RemoveNode(labels)
    for number in range(node.GetSegmentation().GetNumberOfSegments()):
        segment = node.GetSegmentation().GetNthSegment(number)
        segment.SetName(names[str(segment.GetLabelValue())])
    return node


def middle(node):
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    return np.mean(np.reshape(bounds, (3, 2)), axis=1)


def set_up(panel, module, study, seed=1234567):
    """The settings of a quick run."""
    ui, source = panel.ui, study[PANELS[module][0]]
    choose(ui.modelBox, "tiny")
    ui.inputSelector.setCurrentNode(source)
    choose(ui.regionBox, "chest")
    if hasattr(ui, "qualityBox"):
        choose(ui.qualityBox, "fast")
    if PANELS[module][0] == "ct":
        choose(ui.anatomyBox, "none" if module != "MedDiffFMDetectAnomalies" else "threshold")
    if module == "MedDiffFMSuperResolve":
        ui.spacingBox.value = 0.75
    ui.stepsBox.value, ui.seedBox.value = 2, seed
    if "Lesion" in module:
        choose(ui.kindBox, "lung")
        canvas = ui.editor.sourceVolumeNode()
        paint_ball(panel.task.lesion, "Lesion", canvas, middle(source), 6.0)
        wait_for_button(panel)


def test_six_results_in_one_scene(slicer, study, open_panel, tmp_path):
    """Each twice by the same seed: the same voxels under another name, beside its source, as its source is looked at;
    all of that again from a saved scene.
    """
    known, panels = {}, []
    for module in PANELS:
        panel = open_panel(module)
        panels.append(panel)
        set_up(panel, module, study)
        known |= results_of_two_runs(slicer, panel, module)
        if module == "MedDiffFMDenoise":
            check_box(slicer, panel)
        leave_module(panel)
    for panel in panels:
        end(panel)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    load_scene(slicer, tmp_path / "scene.mrb")
    for name, before in known.items():
        assert state_of(slicer, slicer.util.getNode(name)) == before, f"{name} is another one in the loaded scene"


def results_of_two_runs(slicer, panel, module):
    """{name: state} of the two results."""
    source, name = panel.inputNode, PANELS[module][1]
    for _ in range(2):
        run(panel)
        assert panel.ui.messageFrame.isHidden(), f"{module}: {panel.ui.messageLabel.text}"
    first, second = (state_of(slicer, slicer.util.getNode(one)) for one in (name, f"{name}_1"))
    assert {**first, "name": ""} == {**second, "name": ""}, f"{module}: the same seed gave another result"
    assert first["folder"] == "Study" and first["source"] == source.GetName(), module
    record = slicer.util.getNode(name).GetAttribute("MedDiffFM.provenance")
    assert json.loads(record)["parameters"]["seed"] == 1234567 and json.loads(record)["model"]["name"] == "tiny", module
    assert "for research only" in first["notice"], module
    assert first["synthetic"] == ("true" if module in SYNTHETIC else "false"), module
    if module == "MedDiffFMDetectAnomalies":
        width, level = 4 * panel.ui.thresholdSlider.value, json.loads(record)["facts"]["threshold_counts_from_hu"]
        assert first["window"] == pytest.approx((width, level), abs=0.3)
    elif PANELS[module][0] == "ct":
        assert first["window"] == (700, 100), module
    else:
        assert first["window"] == (1400, -300), f"{module}: not the window of a chest"
    return {name: first, f"{name}_1": second}


def check_box(slicer, panel):
    """A third run, limited to a box: nothing changes outside."""
    choose(panel.ui.areaBox, "box")
    click(panel.ui.newBoxButton)
    choose(panel.ui.sigmaBox, "own")  # too little even tissue in the box to measure the noise
    panel.ui.sigmaSlider.value = 30
    run(panel)
    assert panel.ui.messageFrame.isHidden(), panel.ui.messageLabel.text
    before, result = slicer.util.arrayFromVolume(panel.inputNode), slicer.mrmlScene.GetNodeByID(panel.result.shownId)
    box = panel.bindings.chosenNode("roi")
    center, half, spacing = [0.0] * 3, [0.0] * 3, 1.5
    box.GetXYZ(center)
    box.GetRadiusXYZ(half)
    k, j, i = np.indices(before.shape).reshape(3, -1)
    away = np.abs((to_ras(result) @ np.stack([i, j, k, np.ones_like(i)]))[:3] - np.c_[center]) - np.c_[half]
    changed = (slicer.util.arrayFromVolume(result) != before).ravel()
    assert not changed[(away > spacing).any(axis=0)].any(), "changed outside the box"
    assert changed[(away < -spacing).all(axis=0)].mean() > 0.05


def test_a_result_lies_under_its_sources_transform(slicer, study):
    """One that moves nothing, the only one that a source may have."""
    from MedDiffFMPanels.scene.exchange import addResult, ijkToRAS

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Nothing")
    study["ct"].SetAndObserveTransformNodeID(transform.GetID())
    voxels = slicer.util.arrayFromVolume(study["ct"]).copy()
    node = addResult(study["ct"], voxels, ijkToRAS(study["ct"]), "Made", {"task": "denoise"})
    assert node.GetParentTransformNode() is transform


def state_of(slicer, node):
    """All that is promised of a result; voxels as their bytes."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    parent = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))
    record = json.loads(node.GetAttribute("MedDiffFM.provenance"))
    timeless = {key: record[key] for key in ("task", "parameters", "model", "source")}
    voxels, display = slicer.util.arrayFromVolume(node), node.GetDisplayNode()
    return {
        "name": node.GetName(),
        "voxels": (voxels.shape, voxels.dtype.name, voxels.tobytes()),
        "matrix": to_ras(node).round(4).tolist(),
        "window": (display.GetWindow(), display.GetLevel()),
        "folder": hierarchy.GetItemName(parent),
        "source": node.GetNodeReference("MedDiffFM.source").GetName(),
        "synthetic": node.GetAttribute("MedDiffFM.synthetic"),
        "notice": node.GetAttribute("MedDiffFM.notice"),
        "record": json.dumps(timeless, sort_keys=True),
    }


def load_scene(slicer, path):
    """As the application opens an .mrb: unpacked first."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(path.parent)
    (mrml,) = path.parent.glob("*/*.mrml")
    slicer.mrmlScene.SetURL(str(mrml))
    slicer.mrmlScene.SetRootDirectory(str(mrml.parent))
    assert slicer.mrmlScene.Connect()
    slicer.app.processEvents()


def state_of_scene(slicer):
    """Names and kinds of all that a user may see."""
    nodes = slicer.util.getNodesByClass("vtkMRMLDisplayableNode") + slicer.util.getNodesByClass("vtkMRMLTableNode")
    return sorted((node.GetClassName(), node.GetName()) for node in nodes)


def begin(panel, stage):
    """A long run whose worker has come to a stage ("Loading" or "Step"); its process."""
    from MedDiffFMPanels.runner.job import sharedWorker

    panel.ui.stepsBox.value = 500
    if hasattr(panel.ui, "samplesSpin"):
        panel.ui.samplesSpin.value = 3
    assert panel.ui.runButton.enabled, panel.ui.runButton.toolTip
    click(panel.ui.runButton)
    wait_until(lambda: panel.ui.statusLabel.text.startswith(stage) or not panel.logic.busy, PATIENCE)
    assert panel.logic.busy, panel.ui.messageLabel.text
    return sharedWorker().pid


MANY_OUTPUTS = ("MedDiffFMDetectAnomalies", "MedDiffFMInpaintLesion", "MedDiffFMSynthesize", "MedDiffFMGenerateLesion")


@pytest.mark.parametrize("module", MANY_OUTPUTS)
def test_cancelled_and_deleted(slicer, study, open_panel, module):
    """With several outputs, or a lesion of its own: a cancel ends every process at once, a deleted input or lesion
    stops the run; nothing comes, nothing stays.
    """
    panel = open_panel(module)
    set_up(panel, module, study)
    before, pid = state_of_scene(slicer), begin(panel, "Step")
    click(panel.ui.runButton)
    wait_until(lambda: not panel.logic.busy, AT_ONCE)
    assert group_is_gone(pid)
    assert state_of_scene(slicer) == before and panel.ui.messageLabel.text.startswith("Cancelled")

    needed = panel.task.lesion if "Lesion" in module else panel.inputNode
    name, pid = needed.GetName(), begin(panel, "Loading")
    slicer.mrmlScene.RemoveNode(needed)
    wait_until(lambda: not panel.logic.busy, AT_ONCE)
    assert f"“{name}” was deleted" in panel.ui.messageLabel.text and group_is_gone(pid)
    assert not [one for one in state_of_scene(slicer) if "seed" in one[1] or "deviation" in one[1]]
    end(panel)


@pytest.mark.parametrize("module", PANELS)
def test_run_is_in_sight_on_a_laptop(slicer, study, open_panel, module):
    """At 1366 × 768, without scrolling: before, with a result, with the brush in use, where a reason stands above."""
    panel = open_panel(module)
    set_up(panel, module, study)
    wait_until(lambda: panel.ui.runButton.enabled, PATIENCE)
    assert in_sight(panel.ui.runButton)
    panel.ui.resultSection.visible = True
    panel.ui.resultLabel.text = "What came of it. " * 30
    slicer.app.processEvents()
    assert in_sight(panel.ui.runButton)
    if "Lesion" in module:
        panel.ui.editor.setActiveEffectByName("Paint")
    panel.ui.inputSelector.setCurrentNode(None)
    wait_until(lambda: not panel.ui.runButton.enabled, PATIENCE)
    assert in_sight(panel.ui.runButton)
    end(panel)
