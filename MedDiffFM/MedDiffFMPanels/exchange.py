"""From nodes of the scene to files and back: geometry, place in the subject hierarchy, display, provenance."""

import json

import numpy as np
import slicer
import vtk

ATTRIBUTE = "MedDiffFM."  # what a result's attributes begin with
NODES = {"volume": "vtkMRMLScalarVolumeNode", "map": "vtkMRMLScalarVolumeNode"}


def ijkToRAS(volumeNode):
    """The volume's 4 × 4 matrix of index to mm, as an array."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def boxOf(roiNode):
    """A box ROI as the text that the parameter `roi` takes: x0,x1,y0,y1,z0,z1 in mm, RAS."""
    bounds = [0.0] * 6
    roiNode.GetRASBounds(bounds)
    return ",".join(f"{number:.2f}" for number in bounds)


def exportLabels(segmentationNode, volumeNode):
    """A segmentation's segments on a volume's grid. Generator; its return value is (uint8 or uint16 labels (k, j, i),
    {label: name}).
    """
    segmentation = segmentationNode.GetSegmentation()
    labels = np.zeros(slicer.util.arrayFromVolume(volumeNode).shape, np.uint16)
    names = {}
    for number, segmentId in enumerate(segmentation.GetSegmentIDs(), 1):
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, segmentId, volumeNode)
        labels[np.asarray(mask) > 0] = number
        names[number] = segmentation.GetSegment(segmentId).GetName()
        yield
    return labels.astype(np.uint8) if len(names) < 256 else labels, names


def addResult(sourceNode, voxels, matrix, name, provenance, target=None):
    """A new volume beside its source with the same window and level, or `target` with new voxels. Returns the node.

    provenance: the result's record (a dict); it goes into the node's attributes, as does whether it is synthetic.
    """
    node = target or slicer.mrmlScene.AddNewNodeByClass(NODES["volume"], slicer.mrmlScene.GenerateUniqueName(name))
    _copyDisplay(sourceNode, node)  # before there are voxels, or their histogram is computed: half a second
    slicer.util.updateVolumeFromArray(node, voxels)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(sourceNode.GetTransformNodeID())
    placeBeside(sourceNode, node)
    markResult(node, sourceNode, provenance)
    return node


def markResult(node, sourceNode, provenance):
    """Say in a node's attributes what made it, of what, and whether it shows anatomy that nobody has."""
    values = {
        "task": provenance.get("task", ""),
        "synthetic": "true" if provenance.get("synthetic") else "false",
        "source": sourceNode.GetName(),
        "notice": provenance.get("notice", ""),
        "provenance": json.dumps(provenance, ensure_ascii=True),
    }
    for key, value in values.items():
        node.SetAttribute(ATTRIBUTE + key, value)
    node.SetNodeReferenceID(ATTRIBUTE + "source", sourceNode.GetID())


def provenanceOf(node):
    """The record of how a node came to be; an empty dict if it is no result."""
    text = node.GetAttribute(ATTRIBUTE + "provenance") if node else None
    return json.loads(text) if text else {}


def sourceOf(node):
    """The volume that a result was made of, or None if it is gone."""
    return node.GetNodeReference(ATTRIBUTE + "source") if node else None


def _copyDisplay(source, node):
    if not node.GetDisplayNode():
        node.CreateDefaultDisplayNodes()
    mine, its = node.GetDisplayNode(), source.GetDisplayNode()
    if mine and its:
        mine.SetAutoWindowLevel(False)
        mine.SetWindowLevel(its.GetWindow(), its.GetLevel())
        mine.SetAndObserveColorNodeID(its.GetColorNodeID())
        mine.SetInterpolate(its.GetInterpolate())


def placeBeside(source, node):
    """The same folder, study or patient as the source's."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    itsItem = hierarchy.GetItemByDataNode(source)
    parent = hierarchy.GetItemParent(itsItem) if itsItem else hierarchy.GetSceneItemID()
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, parent)
    else:
        hierarchy.CreateItem(parent, node)
