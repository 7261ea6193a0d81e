"""An input that is edited in Slicer while its panel is open: the panel asks for another estimate by itself, once."""

from __future__ import annotations

import numpy as np
import pytest
from panel_run import choose, end
from panels import add_chest
from small_worker import looks, pause, requests, small_worker, wait_for_estimate
from test_every_panel import CROP, PANELS, add_organs

pytest.importorskip("slicer")
import harness
from harness import wait_until


@pytest.fixture
def open_one(slicer, open_panel, tmp_path):
    """A panel whose worker is small, with the chest and its organs in the scene, and its first estimate."""
    opened = []

    def open_(module="MedDiffFMDenoise"):
        add_organs(add_chest(**CROP))
        opened.append(open_panel(module))
        wait_for_estimate(opened[-1])
        return opened[-1]

    with small_worker(tmp_path):
        yield open_
        for panel in opened:
            end(panel)


def is_estimated_anew(panel, tmp_path, change):
    """The old estimate goes after a change, and one new one is asked for."""
    before = len(looks(tmp_path))
    change()
    wait_until(lambda: "about 1 min" not in panel.ui.estimateLabel.text, 5)
    wait_for_estimate(panel)
    pause()
    assert len(looks(tmp_path)) == before + 1


def move_by(node, mm):
    """A transform above the node."""
    import slicer

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = slicer.util.vtkMatrixFromArray(np.array([[1, 0, 0, mm], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    transform.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def draw(segmentation, value=1, start=1):
    """Four voxels each way of the first segment, at the low corner of its image, as a brush draws them."""
    import slicer

    grid = grid_of(segmentation)
    image, matrix = slicer.vtkOrientedImageData(), grid.copy()
    image.SetDimensions(4, 4, 4)
    image.AllocateScalars(3, 1)
    image.GetPointData().GetScalars().Fill(value)
    matrix[:3, 3] = (grid @ [start, start, start, 1])[:3]
    image.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(matrix))
    logic, segment = slicer.vtkSlicerSegmentationsModuleLogic, segmentation.GetSegmentation().GetNthSegmentID(0)
    logic.SetBinaryLabelmapToSegment(image, segmentation, segment, logic.MODE_MERGE_MAX)


def grid_of(segmentation):
    """Index to mm of the voxels that a segmentation lies on."""
    from MedDiffFMPanels.scene import exchange

    return exchange.ijkToRAS(exchange.gridOf(segmentation))


@pytest.mark.parametrize(
    "how", ["filled", "written into", "only the image", "origin", "spacing", "directions", "other size"]
)
def test_an_edited_ct_is_estimated_anew(slicer, open_one, tmp_path, how):
    panel = open_one()
    node = panel.inputNode
    voxels = slicer.util.arrayFromVolume(node)
    is_estimated_anew(
        panel,
        tmp_path,
        {
            "filled": lambda: slicer.util.updateVolumeFromArray(node, voxels[::-1].copy()),
            "written into": lambda: (voxels.__setitem__(3, -1000), slicer.util.arrayFromVolumeModified(node)),
            "only the image": lambda: (voxels.__setitem__(3, -1000), node.GetImageData().Modified()),
            "origin": lambda: node.SetOrigin(1, 2, 3),
            "spacing": lambda: node.SetSpacing(0.5, 0.5, 2),
            "directions": lambda: node.SetIJKToRASDirections(0, 1, 0, 1, 0, 0, 0, 0, 1),
            "other size": lambda: slicer.util.updateVolumeFromArray(node, voxels[:20].copy()),
        }[how],
    )


def test_a_hardened_transform_is_estimated_anew(slicer, open_one, tmp_path):
    """While the transform moves the CT, the panel says so and asks nothing."""
    panel = open_one()
    move_by(panel.inputNode, 25.0)
    wait_until(lambda: "is moved by the transform" in panel.ui.inputLabel.text, 5)
    assert not panel.ui.runButton.enabled and panel.ui.estimateLabel.text == ""
    pause()
    assert len(looks(tmp_path)) == 1
    is_estimated_anew(panel, tmp_path, lambda: slicer.vtkSlicerTransformLogic().hardenTransform(panel.inputNode))
    assert panel.ui.runButton.enabled


def test_a_transform_that_is_taken_back_brings_the_estimate_back(slicer, open_one, tmp_path):
    """Its matrix alone: the CT is where it was."""
    panel = open_one()
    transform = move_by(panel.inputNode, 25.0)
    wait_until(lambda: not panel.ui.runButton.enabled, 5)
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.eye(4)))
    wait_until(lambda: panel.ui.runButton.enabled, 5)
    wait_for_estimate(panel)


def test_an_undone_change_is_estimated_anew(slicer, open_one, tmp_path):
    panel = open_one()
    node, scene = panel.inputNode, slicer.mrmlScene
    node.SetUndoEnabled(True)
    scene.SetUndoOn()
    try:
        scene.SaveStateForUndo(node)
        before = node.GetOrigin()
        is_estimated_anew(panel, tmp_path, lambda: node.SetOrigin(7, 7, 7))
        is_estimated_anew(panel, tmp_path, scene.Undo)
        assert node.GetOrigin() == before
    finally:
        scene.ClearUndoStack()
        scene.SetUndoOff()


def test_many_edits_are_one_question(slicer, open_one, tmp_path):
    """A brush that goes on for two seconds: nothing is asked until it rests."""
    panel = open_one()
    voxels = slicer.util.arrayFromVolume(panel.inputNode)
    for number in range(20):
        voxels[number % len(voxels)] -= 1
        slicer.util.arrayFromVolumeModified(panel.inputNode)
        pause(0.1)
    assert len(looks(tmp_path)) == 1
    wait_for_estimate(panel)
    pause()
    assert len(looks(tmp_path)) == 2


def test_what_is_no_change_of_an_input_asks_nothing(slicer, open_one, tmp_path):
    """Its window, name and attributes, another volume, and a 3D view of the organs."""
    panel = open_one("MedDiffFMSynthesize")
    organs, chest = panel.inputNode, slicer.util.getNode("Chest")
    organs.SetName("Renamed")
    organs.SetAttribute("mine", "1")
    organs.GetDisplayNode().SetOpacity(0.5)
    organs.CreateClosedSurfaceRepresentation()
    chest.GetDisplayNode().SetWindowLevel(1500, -500)
    slicer.util.updateVolumeFromArray(chest, slicer.util.arrayFromVolume(chest) + 1)
    pause(2)
    assert len(looks(tmp_path)) == 1 and "about 1 min" in panel.ui.estimateLabel.text


@pytest.mark.parametrize("how", ["drawn", "undone", "renamed", "removed", "added"])
def test_edited_organs_are_estimated_anew(slicer, open_one, tmp_path, how):
    panel = open_one("MedDiffFMSynthesize")
    segmentation = panel.inputNode.GetSegmentation()
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(segmentation)
    if how == "removed":
        is_estimated_anew(panel, tmp_path, lambda: segmentation.AddEmptySegment("second", "aorta"))
    if how == "undone":
        history.SaveState()
        is_estimated_anew(panel, tmp_path, lambda: draw(panel.inputNode))
    changes = {
        "drawn": lambda: draw(panel.inputNode),
        "undone": history.RestorePreviousState,
        "renamed": lambda: segmentation.GetNthSegment(0).SetName("liver"),
        "removed": lambda: segmentation.RemoveSegment("second"),
        "added": lambda: segmentation.AddEmptySegment("one", "spleen"),
    }
    is_estimated_anew(panel, tmp_path, changes[how])


def test_an_edited_label_map_is_estimated_anew(slicer, open_one, tmp_path):
    panel = open_one("MedDiffFMSynthesize")
    labels = np.zeros((24, 40, 40), np.uint8)
    labels[4:20, 8:30, 8:30] = 5  # liver
    node = slicer.util.addVolumeFromArray(labels, name="Labels", nodeClassName="vtkMRMLLabelMapVolumeNode")
    panel.ui.inputSelector.setCurrentNode(node)
    wait_for_estimate(panel)
    pause()
    is_estimated_anew(panel, tmp_path, lambda: slicer.util.updateVolumeFromArray(node, labels[::-1].copy()))


@pytest.mark.parametrize("how", ["drawn", "moved", "hardened"])
def test_an_edited_anatomy_is_estimated_anew(slicer, open_one, tmp_path, how):
    """The segmentation is no input selector's node, and a transform above it counts."""
    panel = open_one()
    organs = slicer.util.getNode("Organs")
    panel.bindings.node.SetNodeReferenceID("anatomySegmentation", organs.GetID())
    choose(panel.ui.anatomyBox, "segmentation")
    transform = move_by(organs, 0.7)
    wait_for_estimate(panel)
    pause()
    matrix = slicer.util.vtkMatrixFromArray(np.diag([1, 1, 1.01, 1]))
    changes = {
        "drawn": lambda: draw(organs),
        "moved": lambda: transform.SetMatrixTransformToParent(matrix),
        "hardened": lambda: slicer.vtkSlicerTransformLogic().hardenTransform(organs),
    }
    is_estimated_anew(panel, tmp_path, changes[how])


def test_a_moved_box_is_estimated_anew(slicer, open_one, tmp_path):
    """And its new bounds are what the worker is asked about."""
    panel = open_one()
    harness.click(panel.ui.newBoxButton)
    choose(panel.ui.areaBox, "box")
    wait_for_estimate(panel)
    pause()
    box = panel.bindings.chosenNode("roi")
    is_estimated_anew(panel, tmp_path, lambda: box.SetSize(9.0, 10.0, 11.0))
    x0, x1, y0, y1, z0, z1 = map(float, looks(tmp_path)[-1]["roi"].split(","))
    assert np.allclose((x1 - x0, y1 - y0, z1 - z0), (9, 10, 11), atol=0.011)


def test_the_estimate_is_of_the_edited_voxels(slicer, open_one, tmp_path):
    """The file that the worker is given holds them."""
    import SimpleITK as sitk

    from MedDiffFMPanels.runner.job import sharedWorker

    panel = open_one()
    voxels = slicer.util.arrayFromVolume(panel.inputNode)
    voxels[:] = voxels[::-1].copy()
    slicer.util.arrayFromVolumeModified(panel.inputNode)
    wait_until(lambda: len(looks(tmp_path)) == 2, 10)
    wait_for_estimate(panel)
    path = sharedWorker().folder / requests(tmp_path, "look")[-1]["files"]["input"]
    assert (sitk.GetArrayFromImage(sitk.ReadImage(path)) == voxels).all()


def test_a_panel_that_is_not_open_asks_nothing(slicer, open_one, tmp_path):
    panel = open_one()
    harness.leave_module(panel)
    slicer.util.updateVolumeFromArray(panel.inputNode, slicer.util.arrayFromVolume(panel.inputNode)[::-1].copy())
    pause(2)
    assert len(looks(tmp_path)) == 1
    harness.enter_module(panel)
    wait_until(lambda: len(looks(tmp_path)) == 2, 10)
    wait_for_estimate(panel)


def test_nothing_is_followed_after_the_panel(slicer, open_one, tmp_path):
    """A closed panel leaves none of its observers on the nodes of the scene; those of others stay."""
    panel = open_one()
    node = panel.inputNode
    _node, tags = panel._changes._observed[node.GetID()]
    removed = []
    remove, node.RemoveObserver = node.RemoveObserver, lambda tag: (removed.append(tag), remove(tag))
    panel.cleanup()
    del node.RemoveObserver
    assert tags and set(tags) <= set(removed) and not panel._changes._observed


def test_a_renamed_organ_is_offered_to_look_at(slicer, open_one, tmp_path):
    """*Detect Anomalies* lists the organs of the segmentation by the names that they have now."""
    panel = open_one("MedDiffFMDetectAnomalies")
    organs = slicer.util.getNode("Organs")
    panel.bindings.node.SetNodeReferenceID("anatomySegmentation", organs.GetID())
    choose(panel.ui.anatomyBox, "segmentation")
    assert panel.ui.organBox.findData("gallbladder") < 0
    organs.GetSegmentation().GetNthSegment(0).SetName("gallbladder")
    wait_until(lambda: panel.ui.organBox.findData("gallbladder") >= 0, 5)


@pytest.mark.parametrize("module", PANELS)
def test_a_panel_at_rest_changes_nothing_that_it_follows(slicer, open_panel, tmp_path, module):
    """Else each change of its own would be looked at, and make the next one."""
    add_organs(add_chest(**CROP))
    with small_worker(tmp_path):
        panel = open_panel(module)
        pause(3)
        updates, update = [], panel.task.update
        panel.task.update = lambda: (updates.append(1), update())
        pause(2)
        assert updates == []
        panel.input.onNewBox()
        assert updates, "it is counted"
        end(panel)
