"""The organs in a segmentation or label map by the names of its labels."""

import re

import numpy as np
import slicer
from slicer.i18n import tr as _

from MedDiffFMLib.anatomy.classes import ORGANS, label_for_foreign_name

from ..failures import Problem
from . import exchange
from .checks import SAMPLE

MAX_NAMES = 6  # names listed in a sentence
DEFAULT_NAME = r"segment(ation)?([ _]\d+)*"  # the name that Slicer gives a new segment


def organsOf(node):
    """The names of a node's labels as (organs that the model knows, other names)."""
    if node.IsA("vtkMRMLSegmentationNode"):
        segmentation = node.GetSegmentation()
        names = [segmentation.GetSegment(key).GetName() for key in segmentation.GetSegmentIDs()]
    else:
        table = exchange.namesOfLabels(node)
        names = [table.get(n, "?") if table else ORGANS.get(n, str(n)) for n in labelsIn(node)]
    known = [name.replace("_", " ") for name in names if label_for_foreign_name(name) is not None]
    return known, [name for name in names if label_for_foreign_name(name) is None]


def labelsIn(labelMapNode):
    """The nonzero labels in a sample of a label map's voxels; small structures of a large map may be missed."""
    voxels = slicer.util.arrayFromVolume(labelMapNode).reshape(-1)
    return [int(n) for n in np.unique(voxels[:: max(1, voxels.size // SAMPLE)]) if n]


def namesProblem(node):
    """The Problem that no label of a node is a known organ, or None."""
    name = node.GetName()
    if node.GetNodeReferenceID(exchange.LESION_OF):
        return Problem(
            _("“{name}” is a lesion that was drawn, not a segmentation of organs.").format(name=name),
            _("Choose the segmentation of the organs here, and the lesion under “Drawn in”."),
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
                "If it is an organ, double-click the segment's name in the Segment Editor and type the organ's name, "
                "for example “liver” or “right kidney”. If it is a lesion, choose another segmentation here."
            ),
        )
    return Problem(
        _("The model knows none of these as an organ: {names}.").format(names=", ".join(others[:MAX_NAMES])),
        _("Rename the segments to organs, for example “liver” or “right kidney”."),
    )
