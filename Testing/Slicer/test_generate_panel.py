"""The Generate Lesion panel with the real worker on the repository's real label map; the model is a tiny one."""

from __future__ import annotations

import json
import unittest

import numpy as np
import pytest
from lesion_run import mask_of, wait_for_button
from panel_run import choose, end, run
from panels import DATA, to_ras
from patience import PATIENCE

pytest.importorskip("slicer")
import harness
from harness import click, paint_ball, wait_until

CROP = slice(30, 70), slice(30, 80), slice(30, 90)  # z, y, x of the abdomen: liver, spleen, stomach, vertebrae


@pytest.fixture
def organs(slicer):
    """A crop of the abdomen's label map as a segmentation with names."""
    names = json.loads((DATA / "labels.json").read_text(encoding="utf-8"))["abd_ts_example"]
    whole = slicer.util.loadLabelVolume(str(DATA / "abd_ts_example_seg.nii.gz"), {"show": False})
    voxels, matrix = slicer.util.arrayFromVolume(whole)[CROP].copy(), to_ras(whole)
    matrix[:3, 3] = (matrix @ [CROP[2].start, CROP[1].start, CROP[0].start, 1])[:3]
    slicer.mrmlScene.RemoveNode(whole)
    labels = slicer.util.addVolumeFromArray(
        voxels, ijkToRAS=matrix, name="Labels", nodeClassName="vtkMRMLLabelMapVolumeNode"
    )
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(labels)
    slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labels, node)
    for key, value in zip(node.GetSegmentation().GetSegmentIDs(), [n for n in np.unique(voxels) if n], strict=True):
        node.GetSegmentation().GetSegment(key).SetName(names[str(value)])
    slicer.mrmlScene.RemoveNode(labels)
    return node


@pytest.fixture
def panel(organs, open_panel, tiny_home_with_controls):
    widget = open_panel("MedDiffFMGenerateLesion")
    choose(widget.ui.modelBox, "tiny")
    choose(widget.ui.qualityBox, "fast")
    choose(widget.ui.kindBox, "lung")
    widget.ui.stepsBox.value = 2
    yield widget
    end(widget)


def grid_of(organs):
    from MedDiffFMPanels.scene.exchange import gridOf

    return gridOf(organs)


def middle(node) -> np.ndarray:
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    return np.mean(np.reshape(bounds, (3, 2)), axis=1)


def test_two_versions_from_the_first_stroke_to_the_choice(slicer, organs, panel):
    """Drawn on the organs' grid, on a hidden canvas; two synthetic CTs that differ; a seed gives its CT again."""
    ui, grid, lesion = panel.ui, grid_of(organs), panel.task.lesion
    assert ui.inputSelector.currentNode() is organs and lesion.GetName() == "Organs lesion"
    assert "no lesion yet" in ui.runButton.toolTip
    canvas = ui.editor.sourceVolumeNode()
    assert canvas.GetHideFromEditors() and not canvas.GetSaveWithScene() and np.allclose(to_ras(canvas), to_ras(grid))
    paint_ball(lesion, "Lesion", canvas, middle(grid), 12.0)
    wait_for_button(panel)
    assert "Lesion drawn: 2" in ui.lesionLabel.text
    wait_until(lambda: "A run takes about" in ui.estimateLabel.text, PATIENCE)
    ui.samplesSpin.value, ui.seedBox.value = 2, 6
    run(panel)

    assert ui.messageFrame.isHidden(), ui.messageLabel.text
    inside = mask_of(lesion, canvas)
    nodes = [slicer.util.getNode(f"Organs synthetic CT with lesion, seed {seed}") for seed in (6, 7)]
    made = [slicer.util.arrayFromVolume(node).copy() for node in nodes]
    for node, voxels in zip(nodes, made, strict=True):
        assert voxels.shape == inside.shape and np.allclose(to_ras(node), to_ras(grid))
        record = json.loads(node.GetAttribute("MedDiffFM.provenance"))
        assert node.GetAttribute("MedDiffFM.synthetic") == "true" and record["facts"]["lesion"]["kind"] == "lung"
        assert record["facts"]["lesion"]["lesion_ml"] == pytest.approx(inside.sum() * 27 / 1000, abs=1e-3)
        assert (node.GetDisplayNode().GetWindow(), node.GetDisplayNode().GetLevel()) == (400, 50)
    assert np.mean(made[0][inside] != made[1][inside]) > 0.5
    assert "2 versions" in ui.resultLabel.text and "No patient has this anatomy or this lesion" in ui.resultLabel.text
    click(ui.nextButton)
    assert ui.samplesBox.currentText == nodes[1].GetName()

    ui.samplesSpin.value, ui.seedBox.value = 1, 7
    run(panel)
    again = slicer.util.getNode("Organs synthetic CT with lesion, seed 7_1")
    assert np.array_equal(slicer.util.arrayFromVolume(again), made[1]), "a seed gave another CT"


def test_leaving_takes_the_canvas_away_and_keeps_what_was_drawn(slicer, organs, panel):
    lesion = panel.task.lesion
    paint_ball(lesion, "Lesion", panel.ui.editor.sourceVolumeNode(), middle(grid_of(organs)), 12.0)
    harness.leave_module(panel)
    assert [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLVolumeNode")] == []
    harness.enter_module(panel)
    assert panel.task.lesion is lesion and panel.ui.editor.sourceVolumeNode() is not None
    assert panel.ui.inputSelector.currentNode() is organs, "the lesion was taken for organs"


def test_the_modules_own_test(slicer, panel):
    """With the tiny model: the bundled one takes a minute to make the organs."""
    from MedDiffFMPanels.self_test import checkGenerateLesion

    checkGenerateLesion(unittest.TestCase(), panel.logic, model="tiny")


def test_only_a_box(slicer, organs, panel):
    """A CT of the box alone, on the organs' voxels; a box that cuts the lesion is refused before the run."""
    ui, grid, lesion = panel.ui, grid_of(organs), panel.task.lesion
    paint_ball(lesion, "Lesion", ui.editor.sourceVolumeNode(), middle(grid), 12.0)
    wait_for_button(panel)
    box = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
    box.CreateDefaultDisplayNodes()
    box.SetXYZ(middle(grid))
    box.SetRadiusXYZ([10.0] * 3)
    choose(ui.areaBox, "box")
    ui.roiSelector.setCurrentNode(box)
    panel.update()
    assert "extends beyond the box" in ui.runButton.toolTip
    box.SetRadiusXYZ([48.0] * 3)
    panel.update()
    wait_for_button(panel)
    run(panel)
    assert ui.messageFrame.isHidden(), ui.messageLabel.text
    node = slicer.util.getNode("Organs synthetic CT with lesion, seed 0")
    first = np.linalg.inv(to_ras(grid)) @ to_ras(node)[:, 3]
    assert slicer.util.arrayFromVolume(node).shape == (32, 32, 32), "96 mm of 3 mm"
    assert np.allclose(to_ras(node)[:3, :3], to_ras(grid)[:3, :3]) and np.allclose(first, np.rint(first), atol=1e-3)
    assert node.GetAttribute("MedDiffFM.synthetic") == "true"
