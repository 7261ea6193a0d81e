"""The embedded segment editor of the lesion panels among other segmentations: it draws into the lesion alone."""

from __future__ import annotations

import numpy as np
import pytest
from lesion_run import mask_of
from panels import add_chest
from test_every_panel import CROP, add_organs, middle

pytest.importorskip("slicer")
import harness
from harness import click, click_in_slice, paint_ball


@pytest.fixture
def chest(slicer, tiny_home_with_controls):
    return add_chest(**CROP)


def state_of(organs):
    segmentation = organs.GetSegmentation()
    segments = [segmentation.GetNthSegment(number) for number in range(segmentation.GetNumberOfSegments())]
    return [(one.GetName(), one.GetRepresentation("Binary labelmap").GetMTime()) for one in segments]


@pytest.mark.parametrize("when", ["before", "while left"])
def test_organs_are_not_drawn_into(slicer, chest, open_panel, when):
    """TotalSegmentator's result, there before the panel or come while it was left: the lesion stays its own."""
    organs = add_organs(chest) if when == "before" else None
    panel = open_panel("MedDiffFMInpaintLesion")
    if organs is None:
        harness.leave_module(panel)
        assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == [], "an empty lesion stayed"
        organs = add_organs(chest)
        harness.enter_module(panel)
    before = state_of(organs)
    assert panel.task.lesion is not organs and panel.task.lesion.GetName().startswith("Chest lesion")
    editor = panel.ui.editor
    assert panel.ui.lesionSelector.currentNode() is editor.segmentationNode() is panel.task.lesion
    assert editor.mrmlSegmentEditorNode().GetSegmentationNode() is panel.task.lesion
    panel.ui.lesionSelector.setCurrentNode(organs)  # by mistake, or by a scene of an older version
    assert editor.segmentationNode() is not organs and not panel.ui.runButton.enabled
    assert "“Organs” shows organs: " in panel.ui.runButton.toolTip and "“New”" in panel.ui.runButton.toolTip
    click(panel.ui.newLesionButton)
    assert editor.segmentationNode() is panel.task.lesion is not organs
    assert state_of(organs) == before


def test_an_organ_alone_is_no_lesion(slicer, chest, open_panel):
    organs = add_organs(chest)
    for key in organs.GetSegmentation().GetSegmentIDs()[1:]:
        organs.GetSegmentation().RemoveSegment(key)
    name = organs.GetSegmentation().GetNthSegment(0).GetName()
    panel = open_panel("MedDiffFMInpaintLesion")
    panel.ui.lesionSelector.setCurrentNode(organs)
    assert f"shows organs: {name.replace('_', ' ')}" in panel.ui.runButton.toolTip
    assert panel.ui.editor.segmentationNode() is None


def test_undo_takes_an_ellipsoid_back(slicer, chest, open_panel):
    """And nothing else: what was painted before it stays."""
    panel = open_panel("MedDiffFMInpaintLesion")
    lesion, center = panel.task.lesion, middle(chest)
    slicer.util.setSliceViewerLayers(background=chest, fit=True)
    slicer.app.layoutManager().resetSliceViews()
    panel.ui.editor.saveStateForUndo()  # as Paint does
    paint_ball(lesion, "Lesion", chest, center + np.array([0, 15, 0]), 4.0)
    painted = mask_of(lesion, chest).copy()
    center[2] = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceOffset()
    click(panel.ui.placeButton)
    click_in_slice("Red", tuple(center))
    harness.wait_until(lambda: not panel.ui.placeButton.checked)
    slicer.app.processEvents()
    assert mask_of(lesion, chest).sum() > painted.sum() > 0
    panel.ui.editor.undo()
    assert np.array_equal(mask_of(lesion, chest), painted)


@pytest.mark.parametrize("module", ["MedDiffFMInpaintLesion", "MedDiffFMGenerateLesion"])
def test_a_batch_of_the_scene_leaves_the_editor_as_it_is(slicer, chest, open_panel, module):
    """Something is loaded while one draws: the source volume stays, the canvas of Generate Lesion too."""
    organs = add_organs(chest)
    panel = open_panel(module)
    editor, lesion = panel.ui.editor, panel.task.lesion
    source = editor.sourceVolumeNode()
    assert source is chest or source.GetHideFromEditors()
    slicer.mrmlScene.StartState(slicer.mrmlScene.BatchProcessState)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Other")
    slicer.mrmlScene.EndState(slicer.mrmlScene.BatchProcessState)
    assert editor.sourceVolumeNode() is source and editor.segmentationNode() is lesion is panel.task.lesion
    assert editor.mrmlSegmentEditorNode().GetSegmentationNode() is lesion
    slicer.mrmlScene.RemoveNode(organs)


@pytest.mark.parametrize("closed", [False, True])
def test_a_panel_without_a_ct_is_quiet(slicer, chest, open_panel, closed):
    """Segmentations come and go: the embedded editor, which follows them, has its node from the start."""
    slicer.mrmlScene.RemoveNode(chest)
    names = [slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name) for name in ("One", "Two")]
    panel = open_panel("MedDiffFMInpaintLesion")
    if closed:
        harness.leave_module(panel)
        slicer.mrmlScene.Clear(False)
        names = [slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name) for name in ("One", "Two")]
    panel.ui.editor._segmentations.setCurrentNode(names[0])
    for node in names:
        slicer.mrmlScene.RemoveNode(node)
    assert panel.ui.editor.mrmlSegmentEditorNode() is not None


@pytest.mark.parametrize("module", ["MedDiffFMInpaintLesion", "MedDiffFMGenerateLesion"])
def test_no_selector_of_the_panels_chooses_by_itself(slicer, open_panel, module):
    """One without “None” takes the first node that it finds."""
    import qt

    panel = open_panel(module)
    boxes = [one for one in panel._root.findChildren(qt.QWidget) if one.className() == "qMRMLNodeComboBox"]
    inner = panel.ui.editor.findChildren(qt.QWidget)
    mine = [box for box in boxes if box not in inner]
    assert len(mine) >= 4 and all(box.noneEnabled and box.noneDisplay != "None" for box in mine)
