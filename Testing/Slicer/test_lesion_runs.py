"""A lesion before, during and after a run: boxes, names, cancel, deleted nodes, large scans, scripts.

The real worker on the repository's real chest CT; the model is a tiny one.
"""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from lesion_run import mask_of, wait_for_button
from panel_run import choose, end, run
from panels import add_chest, names_in_scene, to_ras
from patience import AT_ONCE, PATIENCE
from turns import Turns

pytest.importorskip("slicer")
import harness
from harness import click, paint_ball, wait_until


@pytest.fixture
def chest(slicer, tiny_home_with_controls):
    node = add_chest()
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    slicer.app.layoutManager().resetSliceViews()
    return node


@pytest.fixture
def panel(chest, open_panel):
    widget = open_panel("MedDiffFMInpaintLesion")
    choose(widget.ui.modelBox, "tiny")
    choose(widget.ui.anatomyBox, "none")
    choose(widget.ui.regionBox, "chest")
    yield widget
    end(widget)


def place(node, i, j, k):
    return (to_ras(node) @ [i, j, k, 1])[:3]


def segmentation(slicer, chest, segment, name="Mine"):
    """One segment of this name with a ball in it, as drawn in the Segment Editor module."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(chest)
    node.GetSegmentation().AddEmptySegment(segment, segment)
    paint_ball(node, segment, chest, place(chest, 32, 32, 16), 6.0)
    return node


def add_box(slicer, chest, center, edges):
    box = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
    box.CreateDefaultDisplayNodes()
    box.SetXYZ(place(chest, *center))
    box.SetRadiusXYZ([edge / 2 for edge in edges])
    return box


def test_only_a_box(slicer, chest, panel):
    """A box must hold the lesion with room around it; what is computed then stays in it, on the CT's own grid."""
    lesion, ui = panel.task.lesion, panel.ui
    paint_ball(lesion, "Lesion", chest, place(chest, 32, 32, 16), 6.0)
    wait_for_button(panel)
    choose(ui.areaBox, "box")
    assert "There is no box yet" in ui.runButton.toolTip
    ui.roiSelector.setCurrentNode(add_box(slicer, chest, (40, 32, 16), (24, 40, 30)))  # ends 3 voxels from its middle
    panel.update()
    assert "extends beyond the box" in ui.runButton.toolTip and "enlarge the box" in ui.runButton.toolTip
    ui.roiSelector.setCurrentNode(add_box(slicer, chest, (32, 32, 16), (60, 60, 36)))
    panel.update()
    wait_for_button(panel)
    run(panel)
    assert ui.messageFrame.isHidden(), ui.messageLabel.text
    result, inside = slicer.util.getNode("Chest with lesion, seed 0"), mask_of(lesion, chest)
    change = slicer.util.arrayFromVolume(result) != slicer.util.arrayFromVolume(chest)
    assert np.allclose(to_ras(result), to_ras(chest))
    assert not change[~inside].any() and change[inside].mean() > 0.9
    assert json.loads(result.GetAttribute("MedDiffFM.provenance"))["parameters"]["roi"]


def test_names_that_slicer_gave(slicer, chest, panel):
    """A lesion may be called anything; organs may not, and the panel says how to name them before the run."""
    ui, mine = panel.ui, segmentation(slicer, chest, "Segment_1")
    ui.lesionSelector.setCurrentNode(mine)
    wait_for_button(panel)
    choose(ui.anatomyBox, "segmentation")
    ui.anatomySelector.setCurrentNode(mine)
    assert not ui.runButton.enabled
    for words in ("“Mine” does not say which organ", "“Segment_1”", "double-click the segment's name", "“liver”"):
        assert words in ui.runButton.toolTip and words in ui.inputLabel.text
    drawn = panel.task.lesion
    click(ui.newLesionButton)
    ui.anatomySelector.setCurrentNode(panel.task.lesion)
    paint_ball(panel.task.lesion, "Lesion", chest, place(chest, 32, 32, 16), 6.0)
    panel.update()
    assert "lesion_1” is a lesion that was drawn, not a segmentation of organs" in ui.runButton.toolTip
    mine.GetSegmentation().GetNthSegment(0).SetName("Heart")
    ui.anatomySelector.setCurrentNode(mine)
    wait_for_button(panel)
    mine.GetSegmentation().GetNthSegment(0).SetName("Segment_1")
    choose(ui.anatomyBox, "none")
    ui.lesionSelector.setCurrentNode(drawn)
    wait_for_button(panel)
    run(panel)
    assert ui.messageFrame.isHidden(), ui.messageLabel.text
    change = slicer.util.arrayFromVolume(slicer.util.getNode("Chest with lesion, seed 0"))
    change = change != slicer.util.arrayFromVolume(chest)
    assert change[mask_of(mine, chest)].mean() > 0.9 and not change[~mask_of(mine, chest)].any()


def test_organs_are_found_among_other_segmentations(slicer, chest, open_panel):
    """Generate Lesion opens with the segmentation of organs, not with a lesion drawn before; and says what it lacks."""
    lesion = segmentation(slicer, chest, "Segment_1", "Lesion drawn before")
    organs = segmentation(slicer, chest, "liver", "Organs")
    panel = open_panel("MedDiffFMGenerateLesion")
    assert panel.ui.inputSelector.currentNode() is organs
    panel.ui.inputSelector.setCurrentNode(lesion)
    assert "does not say which organ" in panel.ui.runButton.toolTip and "double-click" in panel.ui.runButton.toolTip
    end(panel)


def test_cancel_and_deleted_lesion(slicer, chest, panel):
    """Within 3 seconds; no result, the lesion still drawn. Without its lesion a run ends too, and says why."""
    ui, lesion = panel.ui, panel.task.lesion
    paint_ball(lesion, "Lesion", chest, place(chest, 32, 32, 16), 6.0)
    wait_for_button(panel)
    ui.stepsBox.value = 900
    before, drawn = names_in_scene(), mask_of(lesion, chest)

    def begin():
        click(ui.runButton)
        wait_until(lambda: ui.statusLabel.text.startswith("Step"), PATIENCE)

    begin()
    click(ui.runButton)
    wait_until(lambda: not panel.logic.busy, AT_ONCE)
    assert ui.messageLabel.text.startswith("Cancelled")
    assert names_in_scene() == before and np.array_equal(mask_of(lesion, chest), drawn) and ui.runButton.enabled
    begin()
    slicer.mrmlScene.RemoveNode(lesion)
    wait_until(lambda: not panel.logic.busy, AT_ONCE)
    assert "“Chest lesion” was deleted while the computation ran" in ui.messageLabel.text
    assert names_in_scene() == before and not ui.runButton.enabled


def test_a_run_never_halts_slicer_and_its_result_survives_the_scene(slicer, chest, panel, tmp_path):
    """From Run to the result in the views, which have moved to the lesion; attributes and pair after save and load."""
    lesion, layouts = panel.task.lesion, slicer.app.layoutManager()
    paint_ball(lesion, "Lesion", chest, place(chest, 20, 40, 12), 6.0)
    wait_for_button(panel)
    for view in ("Red", "Green"):
        layouts.sliceWidget(view).sliceLogic().SetSliceOffset(10_000)
    turns = Turns()
    run(panel)
    longest = turns.stop()
    assert panel.ui.messageFrame.isHidden(), panel.ui.messageLabel.text
    middle = place(chest, 20, 40, 12)
    for view, axis in (("Red", 2), ("Green", 1)):
        assert layouts.sliceWidget(view).mrmlSliceNode().GetSliceOffset() == pytest.approx(middle[axis], abs=1.0)
    result = slicer.util.getNode("Chest with lesion, seed 0")
    voxels, record = slicer.util.arrayFromVolume(result).copy(), result.GetAttribute("MedDiffFM.provenance")
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    with zipfile.ZipFile(tmp_path / "scene.mrb") as archive:
        archive.extractall(tmp_path)
    (mrml,) = tmp_path.glob("*/*.mrml")
    slicer.mrmlScene.SetURL(str(mrml))
    slicer.mrmlScene.SetRootDirectory(str(mrml.parent))
    assert slicer.mrmlScene.Connect()
    result = slicer.util.getNode("Chest with lesion, seed 0")
    assert np.array_equal(slicer.util.arrayFromVolume(result), voxels)
    assert result.GetAttribute("MedDiffFM.synthetic") == "true"
    assert result.GetAttribute("MedDiffFM.provenance") == record and "seeds" in json.loads(record)["facts"]
    drawn = result.GetNodeReference("MedDiffFM.lesionMask")
    assert drawn is slicer.util.getNode("Chest lesion")
    assert (
        "^Morphologically Altered Structure~SCT^4147007^Mass~"
        in drawn.GetSegmentation().GetSegment("Lesion").GetTerminology()
    )
    turns.check(longest)


def test_drawing_in_a_large_scan_never_halts_slicer(slicer, chest, open_panel):
    """45 million voxels, and a segment as large as the scan, as one that came from a file."""
    from MedDiffFMPanels.scene.lesion_segmentation import addEllipsoid

    shape = (680, 256, 256)
    large = slicer.util.addVolumeFromArray(np.zeros(shape, np.int16), name="Large")
    slicer.util.arrayFromVolume(large)[:, 40:200, 40:200] = -1000
    slicer.util.arrayFromVolumeModified(large)
    panel = open_panel("MedDiffFMInpaintLesion")
    panel.ui.inputSelector.setCurrentNode(large)
    lesion, mask = panel.task.lesion, np.zeros(shape, np.uint8)
    mask[500:510, 100:110, 100:110] = mask[5, 5, 5] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, lesion, "Lesion", large)
    wait_until(lambda: "105 × 105 × 505 mm" in panel.ui.lesionLabel.text, PATIENCE)
    panel.estimate.stop()
    addEllipsoid(lesion, large, place(large, 120, 105, 505), 16.0)
    turns = Turns()
    wait_until(lambda: "105 × 105 × 505 mm" not in panel.ui.lesionLabel.text, PATIENCE)
    longest = turns.stop()
    panel.estimate.stop()
    turns.check(longest)
    end(panel)


def test_from_a_script_without_a_main_window(slicer, chest):
    """The logic alone: no widget, no layout manager; a bad lesion is a Failure with a way on."""
    from MedDiffFMPanels.failures import Failure
    from MedDiffFMPanels.runner.job import sharedWorker
    from MedDiffFMPanels.scene.lesion_segmentation import addEllipsoid, newLesion
    from MedDiffFMPanels.tasks.inpaint_lesion import InpaintLesionLogic

    with harness.without_main_window():
        lesion, logic = newLesion(chest), InpaintLesionLogic()
        with pytest.raises(Failure, match="There is no lesion yet"):
            logic.process(chest, lesion)
        assert addEllipsoid(lesion, chest, place(chest, 32, 32, 16), 12.0)
        box = add_box(slicer, chest, (45, 32, 16), (24, 40, 30))
        with pytest.raises(Failure, match="extends beyond the box"):
            logic.process(chest, lesion, roi=box)
        options = {"model": "tiny", "region": "chest", "anatomy": "none"}
        results = [logic.process(chest, lesion, seed=3, **options) for _ in range(2)]
        first, second = map(slicer.util.arrayFromVolume, results)
        assert np.array_equal(first, second) and results[0].GetAttribute("MedDiffFM.synthetic") == "true"
        target = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Target")
        assert logic.process(chest, lesion, target, seed=4, **options) is target
        assert not np.array_equal(slicer.util.arrayFromVolume(target), first)
    sharedWorker().end()
