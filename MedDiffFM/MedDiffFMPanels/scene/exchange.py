"""From nodes of the scene to files and back: geometry, place in the subject hierarchy, display, provenance."""

import json

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

ATTRIBUTE = "MedDiffFM."  # what a result's attributes begin with
LESION_OF = ATTRIBUTE + "lesionOf"  # reference from a lesion's segmentation to what it was drawn on
TERMINOLOGY = (  # of a lesion and of a finding, as Slicer's own list has it
    "Segmentation category and type - 3D Slicer General Anatomy list~"
    "SCT^49755003^Morphologically Altered Structure~SCT^4147007^Mass~^^~"
    "Anatomic codes - DICOM master list~^^~^^"
)
BINARY_LABELMAP = "Binary labelmap"
SLAB = 1 << 19  # voxels of a segmentation put onto a volume's grid at once
NODES = {"volume": "vtkMRMLScalarVolumeNode", "map": "vtkMRMLScalarVolumeNode"}


def ijkToRAS(volumeNode):
    """The volume's 4 × 4 matrix of index to mm, as an array."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def fileName(node):
    """The name under which a command line expects a node to be saved."""
    return node.GetName() + (".seg.nrrd" if node.IsA("vtkMRMLSegmentationNode") else ".nii.gz")


def boxOf(roiNode):
    """A box ROI as the text that the parameter `roi` takes: x0,x1,y0,y1,z0,z1 in mm, RAS."""
    bounds = [0.0] * 6
    roiNode.GetRASBounds(bounds)
    return ",".join(f"{number:.2f}" for number in bounds)


def gridOf(labelsNode):
    """The voxels of a segmentation or label map as a volume node without a scene, for its geometry alone; None if there
    are none.
    """
    if labelsNode.IsA("vtkMRMLVolumeNode"):
        return labelsNode if labelsNode.GetImageData() else None
    segmentation, image = labelsNode.GetSegmentation(), slicer.vtkOrientedImageData()
    converter = slicer.vtkSegmentationConverter
    own = segmentation.DetermineCommonLabelmapGeometry(slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY, None)
    geometry = own or segmentation.GetConversionParameter(converter.GetReferenceImageGeometryParameterName())
    if not geometry or not converter.DeserializeImageGeometry(geometry, image, True) or min(image.GetDimensions()) < 1:
        return None
    plain, matrix, node = vtk.vtkImageData(), vtk.vtkMatrix4x4(), slicer.vtkMRMLScalarVolumeNode()
    image.GetImageToWorldMatrix(matrix)
    first = matrix.MultiplyPoint((*image.GetExtent()[::2], 1.0))
    for axis in range(3):
        matrix.SetElement(axis, 3, first[axis])
    plain.SetDimensions(image.GetDimensions())
    plain.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    node.SetAndObserveImageData(plain)
    node.SetIJKToRASMatrix(matrix)
    return node


def namesOfLabels(labelsNode):
    """{label: name} of a label map's own color table; nothing if its colors are those that Slicer gives every one."""
    colors = colorsOf(labelsNode)
    return {number: colors.GetColorName(number) for number in range(1, colors.GetNumberOfColors())} if colors else {}


def colorsOf(labelsNode):
    """The color table of a label map's own, or None."""
    display = labelsNode.GetDisplayNode()
    colors = display.GetColorNode() if display else None
    return colors if colors is not None and not colors.GetSingletonTag() else None


def exportLabels(segmentationNode, volumeNode):
    """A segmentation's segments on a volume's grid; where they overlap, the last one counts. Generator; its return
    value is (uint8 or uint16 labels (k, j, i), {label: name}).
    """
    segmentation = segmentationNode.GetSegmentation()
    segmentation.CreateRepresentation(BINARY_LABELMAP)  # nothing to do but where segments are surfaces
    numbers = {key: number for number, key in enumerate(segmentation.GetSegmentIDs(), 1)}
    columns, rows, slices = volumeNode.GetImageData().GetDimensions()
    labels = np.zeros((slices, rows, columns), np.uint8 if len(numbers) < 256 else np.uint16)
    step = max(1, SLAB // (rows * columns))
    for layer in range(segmentation.GetNumberOfLayers(BINARY_LABELMAP)):
        image = segmentation.GetLayerDataObject(layer, BINARY_LABELMAP)
        keys = segmentation.GetSegmentIDsForLayer(layer, BINARY_LABELMAP)
        of = {segmentation.GetSegment(key).GetLabelValue(): numbers[key] for key in keys}
        if image.IsEmpty():
            continue
        for start in range(0, slices, step):
            slab = labels[start : start + step]
            np.maximum(slab, _numbered(_resampled(segmentationNode, image, volumeNode, start, len(slab)), of), out=slab)
            yield
    return labels, {number: segmentation.GetSegment(key).GetName() for key, number in numbers.items()}


def _resampled(segmentationNode, image, volumeNode, start, count):
    """Some slices of a volume's grid, with the values of a segmentation's image: (k, j, i)."""
    columns, rows = volumeNode.GetImageData().GetDimensions()[:2]
    grid, out, toWorld = slicer.vtkOrientedImageData(), slicer.vtkOrientedImageData(), vtk.vtkGeneralTransform()
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    grid.SetExtent(0, columns - 1, 0, rows - 1, start, start + count - 1)
    grid.SetImageToWorldMatrix(matrix)
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(segmentationNode.GetParentTransformNode(), None, toWorld)
    resample = slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage
    resample(image, grid, out, False, False, toWorld)
    return vtk_to_numpy(out.GetPointData().GetScalars()).reshape(count, rows, columns)


def _numbered(values, numbers):
    """Values as the numbers that they stand for; 0 for what stands for none."""
    table = np.zeros(max(int(values.max()), *numbers, 0) + 1, np.uint16)
    for value, number in numbers.items():
        table[value] = number
    return table[values]


def addResult(sourceNode, voxels, matrix, name, provenance, target=None, window=None):
    """A new volume beside its source with the same window and level, or `target` with new voxels. Returns the node.

    provenance: the result's record (a dict); it goes into the node's attributes, as does whether it is synthetic.
    window: (width, level) in HU, for a source that has none.
    """
    node = target or slicer.mrmlScene.AddNewNodeByClass(NODES["volume"], slicer.mrmlScene.GenerateUniqueName(name))
    _copyDisplay(sourceNode, node, window)  # before there are voxels, or their histogram is computed: half a second
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
    _markForExport(node, provenance)


def _markForExport(node, provenance):
    """Set the DICOM tags that Slicer's export takes from a node's item: without them it writes the CT of a scanner."""
    task, model = provenance.get("task", ""), provenance.get("model", {}).get("name", "")
    what = f"SYNTHETIC MedDiff-FM {task}" if provenance.get("synthetic") else f"MedDiff-FM {task}, AI-derived"
    tags = {
        "SeriesDescription": f"{what}, not for diagnosis"[:64],
        "Modality": "OT",  # as CT it would be an original image of a scanner
        "ImageType": "DERIVED\\SECONDARY",
        "Manufacturer": "MedDiff-FM",
        "Model": model[:64],
    }
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    for tag, value in tags.items():
        hierarchy.SetItemAttribute(hierarchy.GetItemByDataNode(node), f"DICOM.{tag}", value)


def provenanceOf(node):
    """The record of how a node came to be; an empty dict if it is no result."""
    text = node.GetAttribute(ATTRIBUTE + "provenance") if node else None
    return json.loads(text) if text else {}


def sourceOf(node):
    """The volume that a result was made of, or None if it is gone."""
    return node.GetNodeReference(ATTRIBUTE + "source") if node else None


def _copyDisplay(source, node, window):
    if not node.GetDisplayNode():
        node.CreateDefaultDisplayNodes()
    mine, its = node.GetDisplayNode(), source.GetDisplayNode()
    if mine and window:
        mine.SetAutoWindowLevel(False)
        mine.SetWindowLevel(*window)
    elif mine and its:
        mine.SetAutoWindowLevel(False)
        mine.SetWindowLevel(its.GetWindow(), its.GetLevel())
        mine.SetAndObserveColorNodeID(its.GetColorNodeID())
        mine.SetInterpolate(its.GetInterpolate())


def placeBeside(source, node):
    """Move a node to the folder, study or patient of its source in the subject hierarchy."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    itsItem = hierarchy.GetItemByDataNode(source)
    parent = hierarchy.GetItemParent(itsItem) if itsItem else hierarchy.GetSceneItemID()
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, parent)
    else:
        hierarchy.CreateItem(parent, node)
