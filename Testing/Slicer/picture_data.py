"""The scenes of the documentation's pictures: the repository's real CT, and what is made of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import slicer
from scipy import ndimage

from MedDiffFMPanels.scene import exchange

ROOT = Path(__file__).parents[2]


def scan(name: str, title: str, window: float, level: float):
    """A whole sample in the slice views."""
    for view in ("Red", "Yellow", "Green"):
        slicer.app.layoutManager().sliceWidget(view)
    node = slicer.util.loadVolume(str(ROOT / "Testing" / "Data" / name), {"name": title})
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(window, level)
    slicer.util.setSliceViewerLayers(background=node)
    slicer.app.layoutManager().resetSliceViews()
    return node


def thick_slices(thin, factor: int):
    """The means of every `factor` axial slices in the slice views, at the same place."""
    voxels, matrix = slicer.util.arrayFromVolume(thin), exchange.ijkToRAS(thin)
    means = voxels[: len(voxels) // factor * factor].reshape(-1, factor, *voxels.shape[1:]).mean(1).round()
    matrix[:, 3] = matrix @ [0, 0, (factor - 1) / 2, 1]
    matrix[:3, 2] *= factor
    node = slicer.util.addVolumeFromArray(means.astype("int16"), ijkToRAS=matrix, name=f"{thin.GetName()}, thick")
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(thin.GetDisplayNode().GetWindow(), thin.GetDisplayNode().GetLevel())
    slicer.mrmlScene.RemoveNode(thin)
    slicer.util.setSliceViewerLayers(background=node)
    return node


def organs(name: str, title: str, cut=(slice(None),) * 3):
    """A sample's label map, or a part of it (k, j, i), as a segmentation with names, in the slice views and in 3D."""
    labels = slicer.util.loadLabelVolume(str(ROOT / "Testing" / "Data" / f"{name}_seg.nii.gz"), {"show": False})
    matrix = exchange.ijkToRAS(labels)
    matrix[:3, 3] = (matrix @ [*(part.start or 0 for part in cut[::-1]), 1])[:3]
    slicer.util.updateVolumeFromArray(labels, slicer.util.arrayFromVolume(labels)[cut].copy())
    labels.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    names = json.loads((ROOT / "Testing" / "Data" / "labels.json").read_text(encoding="utf-8"))[name]
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", title)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(labels)
    slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labels, node)
    segmentation, present = (
        node.GetSegmentation(),
        sorted({*slicer.util.arrayFromVolume(labels).ravel().tolist()} - {0}),
    )
    for key, number in zip(segmentation.GetSegmentIDs(), present, strict=True):
        segmentation.GetSegment(key).SetName(names[str(number)])
    slicer.mrmlScene.RemoveNode(labels)
    node.CreateClosedSurfaceRepresentation()
    return node


def plant_ball(ct, name: str, organ: int):
    """Make a ball of 30 mm darker by 60 HU where the organ is deepest."""
    labels = slicer.util.loadLabelVolume(str(ROOT / "Testing" / "Data" / f"{name}_seg.nii.gz"), {"show": False})
    within, spacing = slicer.util.arrayFromVolume(labels) == organ, ct.GetSpacing()[::-1]
    depth = ndimage.distance_transform_edt(within, sampling=spacing)
    center = np.unravel_index(depth.argmax(), depth.shape)
    away = [((i - c) * s) ** 2 for i, c, s in zip(np.indices(depth.shape), center, spacing, strict=True)]
    voxels = slicer.util.arrayFromVolume(ct)
    voxels[(sum(away) < 15**2) & within] -= 60
    slicer.util.arrayFromVolumeModified(ct)
    slicer.mrmlScene.RemoveNode(labels)


def tissue(ct):
    """What thresholds find in a CT, as a segmentation with names: body, lungs and bones."""
    from MedDiffFMLib.anatomy.tissue import BodyImage, find_tissue

    hu, spacing = slicer.util.arrayFromVolume(ct), ct.GetSpacing()[::-1]
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Chest organs")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(ct)
    labels = find_tissue(BodyImage(hu, spacing))
    colors = {"body": (0.85, 0.7, 0.6), "lungs": (0.4, 0.7, 0.9), "bones": (0.95, 0.9, 0.7)}
    for number, (name, color) in enumerate(colors.items(), 118):
        node.GetSegmentation().AddEmptySegment(name, name, color)
        slicer.util.updateSegmentBinaryLabelmapFromArray((labels == number).astype("uint8"), node, name, ct)
    node.GetDisplayNode().SetSegmentVisibility3D("body", False)
    node.GetDisplayNode().SetSegmentOpacity3D("lungs", 0.3)
    node.CreateClosedSurfaceRepresentation()
    slicer.mrmlScene.RemoveNode(ct)
    return node
