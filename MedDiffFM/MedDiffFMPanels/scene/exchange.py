"""Exchange between MRML nodes and files or arrays: geometry, labels, subject hierarchy, display, provenance."""

import json

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

ATTRIBUTE = "MedDiffFM."  # prefix of a result's attributes and node references
LESION_OF = ATTRIBUTE + "lesionOf"  # reference from a lesion's segmentation to the node that it was drawn on
TERMINOLOGY = (  # of lesions and findings, from Slicer's own list
    "Segmentation category and type - 3D Slicer General Anatomy list~"
    "SCT^49755003^Morphologically Altered Structure~SCT^4147007^Mass~^^~"
    "Anatomic codes - DICOM master list~^^~^^"
)
BINARY_LABELMAP = "Binary labelmap"
SLAB = 1 << 19  # voxels of a segmentation resampled between two yields
NODES = {"volume": "vtkMRMLScalarVolumeNode", "map": "vtkMRMLScalarVolumeNode"}


def ijkToRAS(volumeNode):
    """The volume's 4 × 4 matrix from index (i, j, k) to RAS in mm, as an array."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def fileName(node):
    """The file name that a copied command uses for a node."""
    return node.GetName() + (".seg.nrrd" if node.IsA("vtkMRMLSegmentationNode") else ".nii.gz")


def boxOf(roiNode):
    """The value of the parameter `roi` for a box: x0,x1,y0,y1,z0,z1 in mm, RAS."""
    bounds = [0.0] * 6
    roiNode.GetRASBounds(bounds)
    return ",".join(f"{number:.2f}" for number in bounds)


def gridOf(labelsNode):
    """A volume node outside of the scene with the geometry of a segmentation or label map; None if it has no voxels."""
    if labelsNode.IsA("vtkMRMLVolumeNode"):
        return labelsNode if labelsNode.GetImageData() else None
    segmentation, image = labelsNode.GetSegmentation(), slicer.vtkOrientedImageData()
    converter = slicer.vtkSegmentationConverter
    common = segmentation.DetermineCommonLabelmapGeometry(slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY, None)
    geometry = common or segmentation.GetConversionParameter(converter.GetReferenceImageGeometryParameterName())
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
    """{label: name} from a label map's own color table; empty if it uses one of Slicer's shared tables."""
    colors = colorsOf(labelsNode)
    return {number: colors.GetColorName(number) for number in range(1, colors.GetNumberOfColors())} if colors else {}


def colorsOf(labelsNode):
    """A label map's own color table, or None if it uses one of Slicer's shared tables."""
    display = labelsNode.GetDisplayNode()
    colors = display.GetColorNode() if display else None
    return colors if colors is not None and not colors.GetSingletonTag() else None


def exportLabels(segmentationNode, volumeNode):
    """Resample a segmentation to a volume's grid; where segments overlap, the last one counts.

    A generator; its return value is (uint8 or uint16 labels (k, j, i), {label: name}).
    """
    segmentation = segmentationNode.GetSegmentation()
    segmentation.CreateRepresentation(BINARY_LABELMAP)  # needed where segments are surfaces
    numbers = {key: number for number, key in enumerate(segmentation.GetSegmentIDs(), 1)}
    columns, rows, slices = volumeNode.GetImageData().GetDimensions()
    labels = np.zeros((slices, rows, columns), np.uint8 if len(numbers) < 256 else np.uint16)
    step = max(1, SLAB // (rows * columns))
    for layer in range(segmentation.GetNumberOfLayers(BINARY_LABELMAP)):
        image = segmentation.GetLayerDataObject(layer, BINARY_LABELMAP)
        keys = segmentation.GetSegmentIDsForLayer(layer, BINARY_LABELMAP)
        labelOf = {segmentation.GetSegment(key).GetLabelValue(): numbers[key] for key in keys}
        if image.IsEmpty():
            continue
        for start in range(0, slices, step):
            slab = labels[start : start + step]
            values = _resampled(segmentationNode, image, volumeNode, start, len(slab))
            np.maximum(slab, _mapValues(values, labelOf), out=slab)
            yield
    return labels, {number: segmentation.GetSegment(key).GetName() for key, number in numbers.items()}


def _resampled(segmentationNode, image, volumeNode, start, count):
    """The values of a segmentation's image on `count` slices of a volume's grid from `start` on: (k, j, i)."""
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


def _mapValues(values, numbers):
    """`values` replaced by {value: number}, and by 0 where a value has no number."""
    table = np.zeros(max(int(values.max()), *numbers, 0) + 1, np.uint16)
    for value, number in numbers.items():
        table[value] = number
    return table[values]


def addResult(sourceNode, voxels, matrix, name, provenance, target=None, window=None):
    """Add a volume beside its source with the same window and level, or fill `target`. Returns the node.

    voxels: (k, j, i). matrix: 4 × 4, index to RAS. provenance: the result's record (a dict), which goes into the
    node's attributes. window: (width, level) in HU in place of the source's.
    """
    node = target or slicer.mrmlScene.AddNewNodeByClass(NODES["volume"], slicer.mrmlScene.GenerateUniqueName(name))
    _copyDisplay(sourceNode, node, window)  # before the voxels are set, or half a second is spent on their histogram
    slicer.util.updateVolumeFromArray(node, voxels)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(sourceNode.GetTransformNodeID())
    placeBeside(sourceNode, node)
    markResult(node, sourceNode, provenance)
    return node


def markResult(node, sourceNode, provenance):
    """Set a node's attributes: the task, the source, whether it is synthetic, and the whole provenance."""
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
    """Set the DICOM tags that Slicer's export reads from a node's item; without them it exports an original CT."""
    task, model = provenance.get("task", ""), provenance.get("model", {}).get("name", "")
    what = f"SYNTHETIC MedDiff-FM {task}" if provenance.get("synthetic") else f"MedDiff-FM {task}, AI-derived"
    tags = {
        "SeriesDescription": f"{what}, not for diagnosis"[:64],
        "Modality": "OT",  # CT would mean an original image of a scanner
        "ImageType": "DERIVED\\SECONDARY",
        "Manufacturer": "MedDiff-FM",
        "Model": model[:64],
    }
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    for tag, value in tags.items():
        hierarchy.SetItemAttribute(hierarchy.GetItemByDataNode(node), f"DICOM.{tag}", value)


def provenanceOf(node):
    """The provenance of a result node as a dict; empty for other nodes."""
    text = node.GetAttribute(ATTRIBUTE + "provenance") if node else None
    return json.loads(text) if text else {}


def sourceOf(node):
    """The node that a result was made from, or None if it was removed."""
    return node.GetNodeReference(ATTRIBUTE + "source") if node else None


def _copyDisplay(source, node, window):
    """Give a node the source's window, level, colors and interpolation, or only this window."""
    if not node.GetDisplayNode():
        node.CreateDefaultDisplayNodes()
    display, sourceDisplay = node.GetDisplayNode(), source.GetDisplayNode()
    if display and window:
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(*window)
    elif display and sourceDisplay:
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(sourceDisplay.GetWindow(), sourceDisplay.GetLevel())
        display.SetAndObserveColorNodeID(sourceDisplay.GetColorNodeID())
        display.SetInterpolate(sourceDisplay.GetInterpolate())


def placeBeside(source, node):
    """Move a node to the folder, study or patient of its source in the subject hierarchy."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    sourceItem = hierarchy.GetItemByDataNode(source)
    parent = hierarchy.GetItemParent(sourceItem) if sourceItem else hierarchy.GetSceneItemID()
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, parent)
    else:
        hierarchy.CreateItem(parent, node)
