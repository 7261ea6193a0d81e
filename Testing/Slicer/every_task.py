"""The six panels ready to run on real anatomy with a tiny model, for tests of what all of them share."""

from __future__ import annotations

import json

import numpy as np
from lesion_run import wait_for_button
from panel_run import choose
from panels import DATA, add_chest, to_ras

MODULES = ("Denoise", "DetectAnomalies", "SuperResolve", "Synthesize", "GenerateLesion", "InpaintLesion")
CROP = slice(30, 62), slice(30, 70), slice(30, 70)  # z, y, x of the abdomen: liver, stomach, vertebrae


def add_organs(name="Organs"):
    """A crop of the abdomen's label map as a segmentation with the organs' names."""
    import slicer

    names = json.loads((DATA / "labels.json").read_text(encoding="utf-8"))["abd_ts_example"]
    whole = slicer.util.loadLabelVolume(str(DATA / "abd_ts_example_seg.nii.gz"), {"show": False})
    voxels, matrix = slicer.util.arrayFromVolume(whole)[CROP].copy(), to_ras(whole)
    matrix[:3, 3] = (matrix @ [CROP[2].start, CROP[1].start, CROP[0].start, 1])[:3]
    slicer.mrmlScene.RemoveNode(whole)
    labels = slicer.util.addVolumeFromArray(
        voxels, ijkToRAS=matrix, name="Labels", nodeClassName="vtkMRMLLabelMapVolumeNode"
    )
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(labels)
    slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labels, node)
    segmentation = node.GetSegmentation()
    for key, value in zip(segmentation.GetSegmentIDs(), [n for n in np.unique(voxels) if n], strict=True):
        segmentation.GetSegment(key).SetName(names[str(value)])
    slicer.mrmlScene.RemoveNode(labels)
    return node


def add_both():
    """A small chest CT, and organs, in a folder of the subject hierarchy: the CT, and the folder's item."""
    import slicer

    chest, organs = add_chest(z=slice(50, 66), y=slice(30, 62), x=slice(30, 62)), add_organs()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "Study")
    for node in (chest, organs):
        item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(folder, node)
        hierarchy.SetItemParent(item, folder)
    return chest, folder


def make_ready(panel, steps=2):
    """Choose the tiny model and few steps, and draw a lesion where one is wanted."""
    from harness import paint_ball

    ui = panel.ui
    panel.lookAhead.stop()
    choose(ui.modelBox, "tiny")
    if hasattr(ui, "qualityBox"):
        choose(ui.qualityBox, "fast")
    ui.stepsBox.value, ui.seedBox.value = steps, 3
    if panel.logic.task not in ("synthesize", "generate-lesion"):
        choose(ui.regionBox, "chest")
    if panel.logic.task == "generate-lesion":
        choose(ui.kindBox, "lung")
    if panel.logic.task in ("generate-lesion", "inpaint-lesion"):
        grid = ui.editor.sourceVolumeNode()
        bounds = [0.0] * 6
        grid.GetRASBounds(bounds)
        paint_ball(panel.task.lesion, "Lesion", grid, np.mean(np.reshape(bounds, (3, 2)), axis=1), 9.0)
        wait_for_button(panel)
    assert ui.runButton.enabled, ui.runButton.toolTip
