"""Checks of nodes as inputs of a task. Each returns a Problem with reason and suggestion, or None."""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from ..failures import Problem

SAMPLE = 500_000  # voxels whose values are checked


def problemOf(volumeNode):
    """The Problem that keeps a node from being a CT input, or None."""
    if volumeNode is None:
        return Problem(_("There is no CT volume yet."), _("Load one, or choose one under Input."))
    image = volumeNode.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0:
        return Problem(_("This volume is empty."), _("Choose another one."))
    if image.GetNumberOfScalarComponents() != 1:
        return Problem(_("This is a color image, not a CT."), _("Choose a volume with one value per voxel."))
    if min(image.GetDimensions()) < 2:
        return Problem(_("This is a single slice."), _("Choose the whole 3D volume."))
    return transformProblem(volumeNode) or _valueProblem(volumeNode)


def transformProblem(node):
    """The Problem that a transform moves the node, or None: a task reads voxels and geometry without the transform."""
    transform = node.GetParentTransformNode()
    if transform is None:
        return None
    if transform.IsTransformToWorldLinear():
        if np.allclose(_toWorld(transform), np.eye(4), atol=1e-6):
            return None
    return Problem(
        _("“{name}” is moved by the transform “{transform}”.").format(
            name=node.GetName(), transform=transform.GetName()
        ),
        _("Harden the transform first (Data module), so that the voxels themselves lie where they are shown."),
        "harden",
    )


def confirmHardening(node):
    """Ask the user whether to harden a node's transform, which cannot be undone. Returns the answer."""
    question = _(
        "“{name}” itself will be changed: it stays where the transform “{transform}” puts it now, and the transform "
        "no longer moves it. This cannot be undone. To keep the original, clone it in the Data module first."
    )
    question = question.format(name=node.GetName(), transform=node.GetParentTransformNode().GetName())
    return slicer.util.confirmOkCancelDisplay(question, _("Harden the transform"))


def _toWorld(transform):
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _valueProblem(node):
    """The Problem that a volume's values are not HU of a CT, or None; judged by a sample of its voxels."""
    voxels = slicer.util.arrayFromVolume(node).reshape(-1)
    sample = voxels[:: max(1, voxels.size // SAMPLE)]
    if np.issubdtype(sample.dtype, np.floating) and not np.isfinite(sample).all():
        return Problem(
            _("This volume has voxels without a number (NaN)."), _("Replace them, for example with -1000 for air.")
        )
    low, high = float(sample.min()), float(sample.max())
    span = _("values {low:g} to {high:g}").format(low=low, high=high)
    suggestion = _("Choose a CT in Hounsfield units.")
    if low == high:
        return Problem(_("This volume has the same value everywhere ({span}).").format(span=span), suggestion)
    if high - low < 10:
        return Problem(_("The values of this volume look rescaled ({span}).").format(span=span), suggestion)
    if sample.dtype.itemsize == 1 or (low >= 0 and high <= 255 and high - low > 200):
        return Problem(_("This looks like an 8-bit image ({span}).").format(span=span), suggestion)
    if low >= 0 and (high - low > 400 or low > 600):
        return Problem(
            _("This volume has no negative values ({span}): it is an MR image, or a CT with an offset of 1024.").format(
                span=span
            ),
            suggestion,
        )
    if np.mean(sample > 3071) > 0.01 or np.percentile(sample, 99.5) < -200:
        return Problem(_("These values are not those of a patient's CT ({span}).").format(span=span), suggestion)
    return None


def targetProblem(targetNode, inputs):
    """The Problem that keeps a result from filling a volume, whose voxels would be lost, or None. inputs: the nodes of
    the run.
    """
    if targetNode is None:
        return None
    suggestion = _("Choose “A new volume”, or another one, under Advanced, “Result goes to”.")
    name, role = targetNode.GetName(), slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    if targetNode in inputs:
        return Problem(_("The result would overwrite the input “{name}”.").format(name=name), suggestion)
    for segmentation in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        follows = segmentation.GetNodeReferenceID("MedDiffFM.map")  # findings are recomputed with their map
        if segmentation.GetNodeReference(role) is targetNode and not follows:
            what = _("The result would overwrite “{name}”, on which “{segmentation}” was drawn.")
            return Problem(what.format(name=name, segmentation=segmentation.GetName()), suggestion)
    if targetNode.GetAttribute("DICOM.instanceUIDs"):
        return Problem(_("The result would overwrite “{name}”, a scan from DICOM.").format(name=name), suggestion)
    return None


def maskProblem(segmentationNode, volumeNode, what):
    """The Problem that keeps a segmentation from being used with a volume, or None. what: its role, for the message."""
    if segmentationNode is None:
        return Problem(_("No {what} is chosen.").format(what=what), _("Choose a segmentation, or another setting."))
    if segmentationNode.GetSegmentation().GetNumberOfSegments() == 0:
        return Problem(_("“{name}” has no segments.").format(name=segmentationNode.GetName()), _("Draw one first."))
    drawn, whole = [0.0] * 6, [0.0] * 6
    segmentationNode.GetRASBounds(drawn)
    volumeNode.GetRASBounds(whole)
    if any(drawn[2 * a] > whole[2 * a + 1] or drawn[2 * a + 1] < whole[2 * a] for a in range(3)):
        name = segmentationNode.GetName()
        return Problem(_("“{name}” lies outside the CT.").format(name=name), _("Choose the segmentation of this CT."))
    return None


def boxProblem(roiNode, volumeNode):
    """The Problem that keeps a box from limiting a task on a volume, or None."""
    if roiNode is None:
        return Problem(_("There is no box yet."), _("Click “New box”, or choose “Whole volume”."))
    box, whole = [0.0] * 6, [0.0] * 6
    roiNode.GetRASBounds(box)
    volumeNode.GetRASBounds(whole)
    sides = [min(box[2 * a + 1], whole[2 * a + 1]) - max(box[2 * a], whole[2 * a]) for a in range(3)]
    if min(sides) <= 0:
        return Problem(_("The box lies outside the CT."), _("Move it onto the CT."))
    return None
