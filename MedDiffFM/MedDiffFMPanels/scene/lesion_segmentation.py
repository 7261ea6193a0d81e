"""The segmentation in which a user draws a lesion: make, measure and check it, add an ellipsoid. No widgets."""

import hashlib

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..failures import Problem
from . import exchange
from .checks import maskProblem, transformProblem
from .organ_names import MAX_NAMES, organsOf

SEGMENT = "Lesion"
COLOR = (1.0, 0.35, 0.1)
ROUNDNESS = (0.7, 1.0)  # an ellipsoid's shorter axes over its longest, as in MedDiffFMLib.anatomy.lesion_masks


def newLesion(owner):
    """Add an empty segmentation with one segment on the grid of `owner`, a CT or organs. Returns the node."""
    name = slicer.mrmlScene.GenerateUniqueName(_("{name} lesion").format(name=owner.GetName()))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetOpacity2DFill(0.0)  # only the outline, so that the voxels inside stay visible
    node.SetReferenceImageGeometryParameterFromVolumeNode(exchange.gridOf(owner))
    if owner.IsA("vtkMRMLVolumeNode"):
        node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), owner.GetID())
    node.GetSegmentation().AddEmptySegment(SEGMENT, SEGMENT, COLOR)
    node.GetSegmentation().GetSegment(SEGMENT).SetTag("TerminologyEntry", exchange.TERMINOLOGY)
    node.SetNodeReferenceID(exchange.LESION_OF, owner.GetID())
    exchange.placeBeside(owner, node)
    return node


def lesionOf(owner):
    """The lesion segmentation that `newLesion` made for `owner`, or None."""
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        if node.GetNodeReferenceID(exchange.LESION_OF) == owner.GetID():
            return node
    return None


def segmentOf(lesionNode):
    """The id of the lesion's segment."""
    return lesionNode.GetSegmentation().GetNthSegmentID(0)


def isDrawable(lesionNode):
    """Whether the brush may change a segmentation: one that a panel made, or one with a single segment, no organ."""
    if lesionNode is None:
        return False
    madeByPanel = bool(lesionNode.GetNodeReferenceID(exchange.LESION_OF))
    return madeByPanel or (lesionNode.GetSegmentation().GetNumberOfSegments() < 2 and not _organsIn(lesionNode))


def _organsIn(lesionNode):
    return [] if lesionNode.GetNodeReferenceID(exchange.LESION_OF) else organsOf(lesionNode)[0]


def drawnBox(lesionNode):
    """The drawn lesion as (mask (k, j, i) of its bounding box, 4 × 4 matrix from its index to RAS); None if empty."""
    segmentation = lesionNode.GetSegmentation()
    if not segmentation.GetNumberOfSegments():
        return None
    segment = segmentation.GetSegment(segmentOf(lesionNode))
    image = segment.GetRepresentation("Binary labelmap")
    if image is None or image.GetPointData().GetScalars() is None or min(image.GetDimensions()) < 1:
        return None
    scalars = image.GetPointData().GetScalars()
    state = (lesionNode.GetID(), image.GetMTime(), scalars.GetMTime(), segment.GetLabelValue())
    if _cachedBox.get("state") != state:  # an MTime never occurs twice
        _cachedBox.update(state=state, box=_boxOf(image, segment.GetLabelValue()))
    return _cachedBox["box"]


_cachedBox = {}  # the last result of `drawnBox`, which a panel needs several times after each stroke


def _boxOf(image, label):
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    mask = voxels == label
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    if not slices.size:
        return None
    plane = mask[slices[0] : slices[-1] + 1].any(axis=0)
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    matrix = slicer.util.arrayFromVTKMatrix(matrix)
    occupied = [slices, np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))]
    start = np.array([indices[0] for indices in occupied])
    matrix[:3, 3] = (matrix @ [*(start[::-1] + image.GetExtent()[::2]), 1])[:3]
    return mask[tuple(slice(indices[0], indices[-1] + 1) for indices in occupied)].copy(), matrix


def lesionText(lesionNode):
    """A line with size and volume of the drawn lesion; empty if nothing is drawn."""
    drawn = drawnBox(lesionNode) if lesionNode else None
    if drawn is None:
        return ""
    mask, matrix = drawn
    edges = np.linalg.norm(matrix[:3, :3], axis=0)
    size = " × ".join(f"{n * mm:.0f}" for n, mm in zip(mask.shape[::-1], edges, strict=True))
    milliliters = mask.sum() * np.prod(edges) / 1000
    return _("Lesion drawn: {size} mm, {ml:.2g} ml").format(size=size, ml=milliliters)


def lesionProblem(lesionNode, owner, box=None):
    """The Problem that keeps a segmentation from being the lesion in `owner` (a CT or organs), or None. box: the ROI
    node that limits the task, or None.
    """
    if lesionNode is None or drawnBox(lesionNode) is None:
        return Problem(
            _("There is no lesion yet."), _("Draw one with Paint, or click “Place ellipsoid”, then into a slice.")
        )
    name, organs = lesionNode.GetName(), _organsIn(lesionNode)
    if organs:
        return Problem(
            _("“{name}” shows organs: {organs}.").format(name=name, organs=", ".join(organs[:MAX_NAMES])),
            _("Choose the segmentation of the lesion, or click “New”."),
        )
    if lesionNode.GetSegmentation().GetNumberOfSegments() > 1:
        return Problem(
            _("“{name}” has several segments, and all of them would become lesion.").format(name=name),
            _("Remove all segments but the lesion, or click “New”."),
        )
    problem = transformProblem(lesionNode)
    if problem:
        return Problem(problem.reason, problem.suggestion)  # without its fix, which is for the input
    grid = exchange.gridOf(owner)
    problem = maskProblem(lesionNode, grid, _("lesion"))
    if problem:
        return Problem(problem.reason, _("Click “New” and draw a lesion on this one."))
    return _gridProblem(lesionNode, grid) or (_boxProblem(lesionNode, box) if box else None)


def _boxProblem(lesionNode, box):
    """The Problem that the lesion with one voxel around it extends beyond the box, or None."""
    (mask, matrix), bounds = drawnBox(lesionNode), [0.0] * 6
    box.GetRASBounds(bounds)
    corners = np.stack(np.meshgrid(*((-1, n) for n in mask.shape[::-1]), [1], indexing="ij"), -1).reshape(-1, 4)
    ras = (corners @ matrix.T)[:, :3]
    if (ras.min(axis=0) < bounds[::2]).any() or (ras.max(axis=0) > bounds[1::2]).any():
        return Problem(
            _("The lesion extends beyond the box."),
            _("Move or enlarge the box under Input, with room around the lesion, or choose “Whole volume”."),
        )
    return None


def showLesion(lesionNode):
    """Move slice views that do not cut the lesion to its center."""
    drawn = drawnBox(lesionNode)
    if drawn is None:
        return
    mask, matrix = drawn
    middle = matrix @ [*((n - 1) / 2 for n in mask.shape[::-1]), 1]
    reach = min(n * mm for n, mm in zip(mask.shape[::-1], np.linalg.norm(matrix[:3, :3], axis=0), strict=True)) / 4
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        away = np.linalg.inv(slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())) @ middle
        if abs(away[2]) > reach:
            node.JumpSliceByOffsetting(*middle[:3])


def _gridProblem(lesionNode, grid):
    """The Problem that the lesion has another grid than the image, or touches the image's border, or None."""
    (mask, matrix), gridMatrix = drawnBox(lesionNode), exchange.ijkToRAS(grid)
    suggestion = _("Click “New” and draw a lesion on this one.")
    first = (np.linalg.inv(gridMatrix) @ matrix[:, 3])[:3]
    if not np.allclose(matrix[:3, :3], gridMatrix[:3, :3], atol=1e-3) or not np.allclose(
        first, np.rint(first), atol=1e-2
    ):
        name = lesionNode.GetName()
        return Problem(_("“{name}” was drawn on an image with other voxels.").format(name=name), suggestion)
    last = np.rint(first) + mask.shape[::-1] - 1
    if min(np.rint(first)) < 1 or (last > np.array(grid.GetImageData().GetDimensions()) - 2).any():
        return Problem(
            _("The lesion touches the border of the image."), _("Erase it at the border, or draw it further inside.")
        )
    return None


def addEllipsoid(lesionNode, grid, center, diameter):
    """Add an ellipsoid in a random direction to the lesion, and return the number of its voxels.

    grid: the volume on whose voxels it is drawn. center: RAS in mm. diameter: length of the longest axis in mm; the
    others are 0.7 to 1 times as long.
    """
    matrix = exchange.ijkToRAS(grid)
    shape = grid.GetImageData().GetDimensions()
    middle = (np.linalg.inv(matrix) @ [*center, 1])[:3]
    reach = diameter / 2 / np.linalg.norm(matrix[:3, :3], axis=0) + 1
    first = np.clip(np.floor(middle - reach), 0, shape).astype(int)
    last = np.clip(np.ceil(middle + reach) + 1, 0, shape).astype(int)
    random = np.random.default_rng()
    axes = diameter / 2 * np.array([1.0, *random.uniform(*ROUNDNESS, size=2)])
    rotation = np.linalg.qr(random.normal(size=(3, 3)))[0]
    offsets = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(first, last, strict=True)), indexing="ij"), -1)
    away = (offsets - middle) @ matrix[:3, :3].T @ rotation / axes
    mask = ((away**2).sum(-1) <= 1).transpose(2, 1, 0)
    if mask.any():
        _add(lesionNode, mask, matrix @ [*first, 1], matrix)
    return int(mask.sum())


def _add(lesionNode, mask, origin, matrix):
    """Add a mask (k, j, i), whose first voxel lies at `origin` (RAS), to the lesion's segment."""
    image, ijkToRAS = slicer.vtkOrientedImageData(), matrix.copy()
    ijkToRAS[:3, 3] = origin[:3]
    image.SetDimensions(mask.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(mask.astype(np.uint8).ravel(), deep=True))
    image.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijkToRAS))
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(image, lesionNode, segmentOf(lesionNode), logic.MODE_MERGE_MAX)


def digestOf(lesionNode):
    """A digest of the drawn lesion, to see later whether it has changed; empty if nothing is drawn."""
    drawn = drawnBox(lesionNode) if lesionNode else None
    if drawn is None:
        return ""
    mask, matrix = drawn
    geometry = np.round(matrix, 3).tolist()
    return hashlib.sha256(repr((mask.shape, geometry)).encode() + np.packbits(mask).tobytes()).hexdigest()
