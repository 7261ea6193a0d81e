"""Which organs the labels of a segmentation or label map are called, and why none of them can be one."""

import re

import numpy as np
import slicer
from slicer.i18n import tr as _

from MedDiffFMLib.anatomy.classes import ORGANS, label_for_foreign_name

from ..failures import Problem
from . import exchange
from .checks import SAMPLE

MAX_NAMES = 6  # names one by one
DEFAULT_NAME = r"segment(ation)?([ _]\d+)*"  # what a segment is called until somebody names it


def organsOf(node):
    """Names of the organs that the model knows among a node's labels, and those of the others."""
    if node.IsA("vtkMRMLSegmentationNode"):
        segmentation = node.GetSegmentation()
        names = [segmentation.GetSegment(key).GetName() for key in segmentation.GetSegmentIDs()]
    else:
        own = exchange.namesOfLabels(node)
        names = [own.get(n, "?") if own else ORGANS.get(n, str(n)) for n in labelsIn(node)]
    known = [name.replace("_", " ") for name in names if label_for_foreign_name(name) is not None]
    return known, [name for name in names if label_for_foreign_name(name) is None]


def labelsIn(labelMapNode):
    """The numbers in a label map but 0, small structures of a large one left out."""
    voxels = slicer.util.arrayFromVolume(labelMapNode).reshape(-1)
    return [int(n) for n in np.unique(voxels[:: max(1, voxels.size // SAMPLE)]) if n]


def namesProblem(node):
    """Why a node's labels cannot be organs, or None if one of them is."""
    name = node.GetName()
    if node.GetNodeReferenceID(exchange.LESION_OF):
        return Problem(
            _("“{name}” is a lesion that was drawn, not organs.").format(name=name),
            _("Choose the segmentation of the organs; a lesion is chosen where it is drawn."),
        )
    known, others = organsOf(node)
    if known:
        return None
    if all(re.fullmatch(DEFAULT_NAME, other, re.IGNORECASE) for other in others):
        return Problem(
            _("“{name}” does not say which organ it shows: Slicer names every new segment {names}.").format(
                name=name, names=", ".join(f"“{other}”" for other in others[:MAX_NAMES])
            ),
            _(
                "If it is an organ, double-click the segment's name in the Segment Editor and write the organ's, for "
                "example “liver” or “right kidney”. If it is a lesion, choose another segmentation here."
            ),
        )
    return Problem(
        _("The model knows no organ of these: {names}.").format(names=", ".join(others[:MAX_NAMES])),
        _("Name the segments as organs, for example “liver” or “right kidney”."),
    )
