"""Can this node be the input of a task? Every refusal has a reason and a suggestion."""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from ..failures import Problem

SAMPLE = 500_000  # voxels looked at


def problemOf(volumeNode):
    """Why a node cannot be a CT input, or None if it can."""
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
    """Whether a transform moves a node, which a task would not see: a Problem, or None."""
    transform = node.GetParentTransformNode()
    if transform is None:
        return None
    if transform.IsTransformToWorldLinear():
        if np.allclose(_toWorld(transform), np.eye(4), atol=1e-6):
            return None
    name = transform.GetName()
    return Problem(
        _("This volume is moved by the transform “{name}”.").format(name=name),
        _("Harden the transform first (Data module), so that voxels and place agree."),
        "harden",
    )


def confirmHardening(node):
    """Whether the user wants a node's transform to be hardened, which cannot be undone."""
    question = _(
        "“{name}” itself will be changed: it stays where the transform “{transform}” puts it now, and the transform "
        "moves it no longer. This cannot be undone. To keep it as it is, clone it in the Data module first."
    )
    question = question.format(name=node.GetName(), transform=node.GetParentTransformNode().GetName())
    return slicer.util.confirmOkCancelDisplay(question, _("Harden the transform"))


def _toWorld(transform):
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _valueProblem(node):
    voxels = slicer.util.arrayFromVolume(node).reshape(-1)
    some = voxels[:: max(1, voxels.size // SAMPLE)]
    if np.issubdtype(some.dtype, np.floating) and not np.isfinite(some).all():
        return Problem(_("This volume has voxels without a number (NaN)."), _("Replace them, for air with -1000."))
    low, high = float(some.min()), float(some.max())
    span = _("values {low:g} to {high:g}").format(low=low, high=high)
    suggestion = _("Choose a CT in Hounsfield units.")
    if low == high:
        return Problem(_("This volume has the same value everywhere ({span}).").format(span=span), suggestion)
    if high - low < 10:
        return Problem(_("The values of this volume look rescaled ({span}).").format(span=span), suggestion)
    if some.dtype.itemsize == 1 or (low >= 0 and high <= 255 and high - low > 200):
        return Problem(_("This looks like a picture of 8 bits ({span}).").format(span=span), suggestion)
    if low >= 0 and (high - low > 400 or low > 600):
        return Problem(
            _("This volume has no negative values ({span}): an MR, or a CT that is offset by 1024.").format(span=span),
            suggestion,
        )
    if np.mean(some > 3071) > 0.01 or np.percentile(some, 99.5) < -200:
        return Problem(_("These are not the values of a CT of a patient ({span}).").format(span=span), suggestion)
    return None


def targetProblem(targetNode, inputs):
    """Why a result may not fill a volume, or None: nobody gets back what it held. inputs: the nodes of the run."""
    if targetNode is None:
        return None
    suggestion = _("Choose “A new volume”, or another one, under Advanced, “Result goes to”.")
    name, role = targetNode.GetName(), slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    if targetNode in inputs:
        return Problem(_("The result would overwrite the input “{name}”.").format(name=name), suggestion)
    for segmentation in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        follows = segmentation.GetNodeReferenceID("MedDiffFM.map")  # findings, which are made anew with their map
        if segmentation.GetNodeReference(role) is targetNode and not follows:
            what = _("The result would overwrite “{name}”, on which “{segmentation}” was drawn.")
            return Problem(what.format(name=name, segmentation=segmentation.GetName()), suggestion)
    if targetNode.GetAttribute("DICOM.instanceUIDs"):
        return Problem(_("The result would overwrite “{name}”, a scan from DICOM.").format(name=name), suggestion)
    return None


def maskProblem(segmentationNode, volumeNode, what):
    """Why a segmentation cannot go with a volume, or None."""
    if segmentationNode is None:
        return Problem(_("No {what} is chosen.").format(what=what), _("Choose a segmentation, or another setting."))
    if segmentationNode.GetSegmentation().GetNumberOfSegments() == 0:
        return Problem(_("“{name}” has no segments.").format(name=segmentationNode.GetName()), _("Draw one first."))
    low, high = [0.0] * 6, [0.0] * 6
    segmentationNode.GetRASBounds(low)
    volumeNode.GetRASBounds(high)
    apart = any(low[2 * a] > high[2 * a + 1] or low[2 * a + 1] < high[2 * a] for a in range(3))
    if apart:
        name = segmentationNode.GetName()
        return Problem(_("“{name}” lies outside the CT.").format(name=name), _("Choose the segmentation of this CT."))
    return None


def boxProblem(roiNode, volumeNode):
    """Why a box cannot limit a task on a volume, or None."""
    if roiNode is None:
        return Problem(_("There is no box yet."), _("Click “New box”, or choose “Whole volume”."))
    box, whole = [0.0] * 6, [0.0] * 6
    roiNode.GetRASBounds(box)
    volumeNode.GetRASBounds(whole)
    sides = [min(box[2 * a + 1], whole[2 * a + 1]) - max(box[2 * a], whole[2 * a]) for a in range(3)]
    if min(sides) <= 0:
        return Problem(_("The box lies outside the CT."), _("Move it onto the CT."))
    return None
