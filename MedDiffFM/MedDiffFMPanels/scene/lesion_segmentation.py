"""The lesion that a user draws: its segmentation, an ellipsoid in it, and whether it can be used. No widgets."""

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
ROUNDNESS = (0.7, 1.0)  # of an ellipsoid: its shorter axes over the longest, as in MedDiffFMLib.anatomy.lesion_masks


def newLesion(owner):
    """An empty segmentation with one segment on the grid of `owner`, a CT or a segmentation of organs."""
    name = slicer.mrmlScene.GenerateUniqueName(_("{name} lesion").format(name=owner.GetName()))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetOpacity2DFill(0.0)  # the outline: what is in it shall be seen
    node.SetReferenceImageGeometryParameterFromVolumeNode(exchange.gridOf(owner))
    if owner.IsA("vtkMRMLVolumeNode"):
        node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), owner.GetID())
    node.GetSegmentation().AddEmptySegment(SEGMENT, SEGMENT, COLOR)
    node.GetSegmentation().GetSegment(SEGMENT).SetTag("TerminologyEntry", exchange.TERMINOLOGY)
    node.SetNodeReferenceID(exchange.LESION_OF, owner.GetID())
    exchange.placeBeside(owner, node)
    return node


def lesionOf(owner):
    """The segmentation that was made for `owner`, or None."""
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        if node.GetNodeReferenceID(exchange.LESION_OF) == owner.GetID():
            return node
    return None


def segmentOf(lesionNode):
    """The id of the lesion's segment."""
    return lesionNode.GetSegmentation().GetNthSegmentID(0)


def isDrawable(lesionNode):
    """Whether the brush may be taken to a segmentation: to a panel's own lesion, or one segment that is no organ."""
    if lesionNode is None:
        return False
    own = lesionNode.GetNodeReferenceID(exchange.LESION_OF)
    return bool(own) or (lesionNode.GetSegmentation().GetNumberOfSegments() < 2 and not _organsIn(lesionNode))


def _organsIn(lesionNode):
    return [] if lesionNode.GetNodeReferenceID(exchange.LESION_OF) else organsOf(lesionNode)[0]


def drawnBox(lesionNode):
    """What is drawn, as (mask (k, j, i) cut to it, 4 × 4 matrix of its index to mm); None if nothing is."""
    segmentation = lesionNode.GetSegmentation()
    if not segmentation.GetNumberOfSegments():
        return None
    segment = segmentation.GetSegment(segmentOf(lesionNode))
    image = segment.GetRepresentation("Binary labelmap")
    if image is None or image.GetPointData().GetScalars() is None or min(image.GetDimensions()) < 1:
        return None
    scalars = image.GetPointData().GetScalars()
    state = (lesionNode.GetID(), image.GetMTime(), scalars.GetMTime(), segment.GetLabelValue())
    if _cachedBox.get("state") != state:  # VTK's times never come again
        _cachedBox.update(state=state, box=_boxOf(image, segment.GetLabelValue()))
    return _cachedBox["box"]


_cachedBox = {}  # the box that was last looked for: a panel asks several times at each stroke


def _boxOf(image, label):
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    mask = voxels == label
    layers = np.flatnonzero(mask.any(axis=(1, 2)))
    if not layers.size:
        return None
    plane = mask[layers[0] : layers[-1] + 1].any(axis=0)
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    matrix = slicer.util.arrayFromVTKMatrix(matrix)
    first = [layers, np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))]
    start = np.array([where[0] for where in first])
    matrix[:3, 3] = (matrix @ [*(start[::-1] + image.GetExtent()[::2]), 1])[:3]
    return mask[tuple(slice(where[0], where[-1] + 1) for where in first)].copy(), matrix


def lesionText(lesionNode):
    """Size and volume of what is drawn; "" if nothing is."""
    drawn = drawnBox(lesionNode) if lesionNode else None
    if drawn is None:
        return ""
    mask, matrix = drawn
    edges = np.linalg.norm(matrix[:3, :3], axis=0)
    size = " × ".join(f"{n * mm:.0f}" for n, mm in zip(mask.shape[::-1], edges, strict=True))
    milliliters = mask.sum() * np.prod(edges) / 1000
    return _("Lesion drawn: {size} mm, {ml:.2g} ml").format(size=size, ml=milliliters)


def lesionProblem(lesionNode, owner, box=None):
    """Why a segmentation cannot be the lesion in `owner` (a CT or organs), or None. box: the ROI node that limits the
    task, if one does.
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
            _("“{name}” has several segments, and all would become lesion.").format(name=name),
            _("Keep the one of the lesion, or click “New”."),
        )
    problem = transformProblem(lesionNode)
    if problem:
        return Problem(problem.reason.replace(_("volume"), _("lesion")), problem.suggestion)
    grid = exchange.gridOf(owner)
    problem = maskProblem(lesionNode, grid, _("lesion"))
    if problem:
        return Problem(problem.reason, _("Click “New” and draw a lesion on this one."))
    return _gridProblem(lesionNode, grid) or (_boxProblem(lesionNode, box) if box else None)


def _boxProblem(lesionNode, box):
    """Whether the lesion, with a voxel around it, reaches out of a box."""
    (mask, matrix), bounds = drawnBox(lesionNode), [0.0] * 6
    box.GetRASBounds(bounds)
    corners = np.stack(np.meshgrid(*((-1, n) for n in mask.shape[::-1]), [1], indexing="ij"), -1).reshape(-1, 4)
    ras = (corners @ matrix.T)[:, :3]
    if (ras.min(axis=0) < bounds[::2]).any() or (ras.max(axis=0) > bounds[1::2]).any():
        return Problem(
            _("The lesion reaches out of the box."),
            _("Move or enlarge the box under Input, with room around the lesion, or choose “Whole volume”."),
        )
    return None


def showLesion(lesionNode):
    """Move the slice views that do not cut through the lesion to its middle."""
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
    """Whether the lesion lies on other voxels than those of the grid, or at its border."""
    (mask, its), mine = drawnBox(lesionNode), exchange.ijkToRAS(grid)
    again = _("Click “New” and draw a lesion on this one.")
    first = (np.linalg.inv(mine) @ its[:, 3])[:3]
    if not np.allclose(its[:3, :3], mine[:3, :3], atol=1e-3) or not np.allclose(first, np.rint(first), atol=1e-2):
        name = lesionNode.GetName()
        return Problem(_("“{name}” was drawn on an image with other voxels.").format(name=name), again)
    last = np.rint(first) + mask.shape[::-1] - 1
    if min(np.rint(first)) < 1 or (last > np.array(grid.GetImageData().GetDimensions()) - 2).any():
        return Problem(_("The lesion touches the border of the image."), _("Erase there, or draw it further inside."))
    return None


def addEllipsoid(lesionNode, grid, center, diameter):
    """Add an ellipsoid to the lesion: `diameter` mm along its longest axis, the others 0.7 to 1 times as long, in a
    random direction. center: RAS in mm. grid: the volume on whose voxels it is drawn. Returns the number of its voxels.
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
    """Add a mask (k, j, i), whose first voxel lies at `origin`, to the lesion's segment."""
    image, place = slicer.vtkOrientedImageData(), matrix.copy()
    place[:3, 3] = origin[:3]
    image.SetDimensions(mask.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(mask.astype(np.uint8).ravel(), deep=True))
    image.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(place))
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(image, lesionNode, segmentOf(lesionNode), logic.MODE_MERGE_MAX)


def digestOf(lesionNode):
    """A mark of what is drawn, to see later whether it is still the same."""
    drawn = drawnBox(lesionNode) if lesionNode else None
    if drawn is None:
        return ""
    mask, matrix = drawn
    place = np.round(matrix, 3).tolist()
    return hashlib.sha256(repr((mask.shape, place)).encode() + np.packbits(mask).tobytes()).hexdigest()
