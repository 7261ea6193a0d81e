"""The Synthesize CT panel with the real worker, on the repository's real segmentation; the model is a tiny one."""

from __future__ import annotations

import json

import numpy as np
import pytest
from panel_run import choose, end, run
from panels import DATA, names_in_scene, to_ras
from patience import PATIENCE

pytest.importorskip("slicer")
from harness import click, press, wait_until

CROP = slice(30, 70), slice(30, 80), slice(30, 90)  # z, y, x of the abdomen: liver, spleen, stomach, vertebrae


@pytest.fixture
def organs(slicer):
    """A crop of the abdomen's label map as a segmentation with names: array, matrix, and the segmentation's node."""
    for view in ("Red", "Yellow", "Green"):
        slicer.app.layoutManager().sliceWidget(view)
    names = json.loads((DATA / "labels.json").read_text())["abd_ts_example"]
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
    segmentation = node.GetSegmentation()
    for key, value in zip(segmentation.GetSegmentIDs(), [n for n in np.unique(voxels) if n], strict=True):
        segmentation.GetSegment(key).SetName(names[str(value)])
    slicer.mrmlScene.RemoveNode(labels)
    return voxels, matrix, node


@pytest.fixture
def panel(organs, open_panel, tiny_home):
    widget = open_panel("MedDiffFMSynthesize")
    choose(widget.ui.modelBox, "tiny")
    choose(widget.ui.qualityBox, "fast")
    widget.ui.stepsBox.value = 3
    yield widget
    end(widget)


def test_two_seeds_from_the_first_click_to_the_choice(slicer, organs, panel):
    """Organs named before; two CTs on the segmentation's grid, named by their seeds, synthetic, with the region's
    window; choose between them; a seed gives its CT again.
    """
    ui, (labels, matrix, segmentation) = panel.ui, organs
    assert ui.inputSelector.currentNode() is segmentation and ui.runButton.enabled
    assert f"{len(np.unique(labels)) - 1} organs: " in ui.inputLabel.text and "kidney right" in ui.inputLabel.text
    assert "60 × 50 × 40 voxels of 3 × 3 × 3 mm" in ui.inputLabel.text
    wait_until(lambda: "A run takes about" in ui.estimateLabel.text, PATIENCE)
    assert "abdomen" in ui.estimateLabel.text
    ui.samplesSpin.value = 2
    ui.seedBox.value = 6
    run(panel)

    assert ui.messageFrame.isHidden(), ui.messageLabel.text
    nodes = [slicer.util.getNode(f"Organs synthetic CT, seed {seed}") for seed in (6, 7)]
    made = [slicer.util.arrayFromVolume(node).copy() for node in nodes]
    for number, (node, voxels) in enumerate(zip(nodes, made, strict=True), 1):
        assert voxels.shape == labels.shape and voxels.dtype == np.int16 and np.allclose(to_ras(node), matrix)
        assert node.GetAttribute("MedDiffFM.synthetic") == "true"
        record = json.loads(node.GetAttribute("MedDiffFM.provenance"))
        assert record["sample"] == number and record["facts"]["seeds"] == [6, 7] and record["model"]["name"] == "tiny"
        assert (node.GetDisplayNode().GetWindow(), node.GetDisplayNode().GetLevel()) == (400, 50)
        low, high = record["facts"]["window_hu"]
        assert voxels[labels > 0].min() >= low - 1 and voxels[labels > 0].max() <= high + 1
    assert (made[0] != made[1]).mean() > 0.1 and names_in_scene() == sorted(node.GetName() for node in nodes)
    assert "2 synthetic CTs, abdomen" in ui.resultLabel.text and "No patient has this anatomy" in ui.resultLabel.text
    choose_between(slicer, ui, segmentation, nodes)

    ui.samplesSpin.value = 1
    ui.seedBox.value = 7
    run(panel)
    again = slicer.util.getNode("Organs synthetic CT, seed 7_1")
    assert (slicer.util.arrayFromVolume(again) == made[1]).all(), "a seed gave another CT"
    assert ui.samplesBox.isHidden()


def choose_between(slicer, ui, segmentation, nodes):
    import qt

    display = segmentation.GetDisplayNode()
    assert not ui.samplesBox.isHidden() and ui.samplesBox.count == 2
    assert background(slicer) == nodes[0].GetID() and not display.GetVisibility2D()
    press(ui.samplesBox, qt.Qt.Key_Down)
    assert background(slicer) == nodes[1].GetID()
    click(ui.inputViewButton)
    assert background(slicer) == nodes[1].GetID() and display.GetVisibility2D()
    click(ui.resultViewButton)
    assert not display.GetVisibility2D()
    assert ui.differenceButton.isHidden() and ui.sideButton.isHidden()


def background(slicer):
    composite = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceCompositeNode()
    return composite.GetBackgroundVolumeID()


def test_the_organs_are_shown_again_when_the_panel_is_left(slicer, organs):
    from MedDiffFMPanels.views.overlay import OverlayViews

    segmentation = organs[2]
    result = slicer.util.addVolumeFromArray(np.zeros((4, 4, 4), np.int16))
    views = OverlayViews()
    views.setVolumes(segmentation, result)
    views.show("result")
    assert not segmentation.GetDisplayNode().GetVisibility2D()
    views.restoreLayout()
    assert segmentation.GetDisplayNode().GetVisibility2D()


def test_the_preview_fills_every_view_and_leaves_no_trace(slicer, organs, tmp_path):
    from MedDiffFMPanels.scene.nrrd import writeNrrd
    from MedDiffFMPanels.views.preview import Preview

    labels, matrix, segmentation = organs
    list(writeNrrd(tmp_path / "preview.nrrd", labels.astype(np.int16), matrix))
    before, preview = names_in_scene(), Preview()
    preview.begin(segmentation)
    preview.show(tmp_path / "preview.nrrd")
    assert slicer.mrmlScene.GetNodeByID(background(slicer)).GetName() == "Preview"
    preview.end()
    assert not background(slicer) and names_in_scene() == before


def test_a_label_map_with_totalsegmentators_numbers(slicer, organs, panel):
    """Without a color table of its own its numbers count; a target volume takes the result."""
    labels, matrix, _ = organs
    node = slicer.util.addVolumeFromArray(
        labels, ijkToRAS=matrix, name="Numbers", nodeClassName="vtkMRMLLabelMapVolumeNode"
    )
    target = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Mine")
    panel.ui.inputSelector.setCurrentNode(node)
    panel.ui.targetSelector.setCurrentNode(target)
    assert "kidney right" in panel.ui.inputLabel.text
    run(panel)
    assert slicer.util.arrayFromVolume(target).shape == labels.shape and np.allclose(to_ras(target), matrix)
    record = json.loads(target.GetAttribute("MedDiffFM.provenance"))
    assert record["facts"]["region"] == "abdomen" and target.GetAttribute("MedDiffFM.source") == "Numbers"


def test_segments_reach_the_worker_as_they_are_in_the_scene(slicer, organs):
    """Labels, place and names of the file that the worker reads, by the library that it reads with."""
    from MedDiffFMPanels.scene.exchange import exportLabels, gridOf

    labels, matrix, node = organs
    grid = gridOf(node)
    walk, found = exportLabels(node, grid), None
    while found is None:
        try:
            next(walk)
        except StopIteration as end:
            found = end.value
    exported, names = found
    assert exported.shape == labels.shape and np.allclose(to_ras(grid), matrix)
    values = [n for n in np.unique(labels) if n]
    known = json.loads((DATA / "labels.json").read_text())["abd_ts_example"]
    assert list(names.values()) == [known[str(value)] for value in values]
    assert (np.isin(exported, range(1, len(values) + 1)) == (labels > 0)).all()
    assert all((exported == i).sum() == (labels == v).sum() for i, v in enumerate(values, 1))


def test_why_run_is_disabled(slicer, organs, panel):
    ui, segmentation = panel.ui, organs[2]

    def refused(*words):
        panel.update()
        return not ui.runButton.enabled and all(word in ui.runButton.toolTip for word in words)

    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Empty")
    ui.inputSelector.setCurrentNode(empty)
    assert refused("“Empty” has no segments", "Draw one first")
    empty.GetSegmentation().AddEmptySegment("liver", "liver")
    assert refused("The segments of “Empty” are empty", "Draw an organ")

    flat = np.zeros((1, 8, 8), np.uint8)
    for voxels, words in ((flat, "holds no labels"), (flat + 5, "single slice"), (flat.repeat(4, 0) + 200, "200")):
        labels = slicer.util.addVolumeFromArray(voxels, nodeClassName="vtkMRMLLabelMapVolumeNode")
        ui.inputSelector.setCurrentNode(labels)
        assert refused(words), ui.runButton.toolTip

    ui.inputSelector.setCurrentNode(segmentation)
    assert ui.runButton.enabled
    for key in segmentation.GetSegmentation().GetSegmentIDs():
        segmentation.GetSegmentation().GetSegment(key).SetName(f"Segment_{key}")
    assert refused("The model knows none of these", "for example “liver”")
    segmentation.GetSegmentation().GetNthSegment(0).SetName("liver")
    panel.update()
    assert ui.runButton.enabled and "1 organs: liver" in ui.inputLabel.text and "counted as body" in ui.inputLabel.text
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Shift")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.diag([1.0, 1, 2, 1])))
    segmentation.SetAndObserveTransformNodeID(transform.GetID())
    assert refused("“Shift”", "Harden")
    slicer.mrmlScene.RemoveNode(segmentation)
    assert slicer.util.getNode("Empty") and not ui.runButton.enabled


def test_copy_as_command(slicer, panel):
    import qt

    panel.ui.samplesSpin.value = 3
    panel.ui.copyButton.click()
    words = qt.QApplication.clipboard().text().split()
    assert words[:4] == ["meddiff-fm", "synthesize", "Organs.seg.nrrd", "OUTPUT.nii.gz"]
    assert words[words.index("--samples") + 1] == "3" and "--anatomy" not in words


def test_the_modules_own_test(slicer, panel):
    slicer.modules.MedDiffFMSynthesizeInstance.runTest()
