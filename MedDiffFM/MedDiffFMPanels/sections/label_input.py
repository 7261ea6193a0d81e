"""The Input section of a panel whose input is a segmentation or a label map of organs in place of a CT."""

import slicer
from slicer.i18n import tr as _

from ..failures import Problem
from ..scene import exchange
from ..scene.checks import transformProblem
from ..scene.organ_names import MAX_NAMES, namesProblem, organsOf
from ..toolkit.bindings import nodesOffered
from ..views.colors import quiet, quietColor, warning
from .input import InputPart

KINDS = ("vtkMRMLSegmentationNode", "vtkMRMLLabelMapVolumeNode")


class LabelInputPart(InputPart):
    """The shared section, without the controls that only a CT needs."""

    def __init__(self, ui, bindings, onChange):
        InputPart.__init__(self, ui, bindings, onChange)
        self._cachedText = (None, "")  # (state, text)
        ui.inputSelector.nodeTypes = KINDS
        ui.inputSelector.noneDisplay = _("Choose a segmentation or label map")
        toolTip = _(
            "Organs as segments with their names, or a label map with TotalSegmentator's numbers. It is not changed."
        )
        ui.inputSelector.toolTip = ui.inputSelectorLabel.toolTip = toolTip
        ui.inputSelectorLabel.text = _("&Organs:")
        ui.anatomyBox.visible = ui.anatomyBoxLabel.visible = False

    problemOf = staticmethod(lambda node: labelsProblem(node))

    def text(self, node):
        """The line below the input's selector: its organs and its size.

        It is made once for each state of the node and color of text, because that reads many voxels.
        """
        state = (self._volumeCheck[0], quietColor())
        if self._cachedText[0] != state:
            self._cachedText = (state, self._text(node))
        return self._cachedText[1]

    def _text(self, node):
        known, others = organsOf(node)
        names = ", ".join(known[:MAX_NAMES]) + (", …" if len(known) > MAX_NAMES else "")
        grid = exchange.gridOf(node)
        size = " × ".join(str(n) for n in grid.GetImageData().GetDimensions())
        spacing = " × ".join(f"{s:.3g}" for s in grid.GetSpacing())
        text = quiet(_("{n} organs: {names}").format(n=len(known), names=names))
        text += "<br/>" + quiet(_("The CT will have {size} voxels of {mm} mm.").format(size=size, mm=spacing))
        if others:
            text += "<br/>" + warning(
                _("Not known, counted as body: {names}").format(names=", ".join(others[:MAX_NAMES]))
            )
        return text


def firstLabels():
    """The node that the input selector shows at first: the scene's first segmentation with an organ, else its first
    label map, else its first other segmentation, or None.
    """
    candidates = []
    for node in nodesOffered(KINDS[0]):
        if node.GetSegmentation().GetNumberOfSegments() and not node.GetNodeReferenceID(exchange.LESION_OF):
            candidates.append(node)
    organs = next((node for node in candidates if organsOf(node)[0]), None)
    return organs or next(iter(nodesOffered(KINDS[1])), None) or next(iter(candidates), None)


def labelsProblem(node):
    """The Problem that keeps a node from being the organs that a CT is made from, or None."""
    if node is None:
        return Problem(_("There is no segmentation yet."), _("Load one, or choose one under Input."))
    problem = _emptyProblem(node) or transformProblem(node)
    if problem:
        return problem
    grid = exchange.gridOf(node)
    if grid is None:
        return Problem(
            _("“{name}” has no voxels.").format(name=node.GetName()),
            _("Choose its source volume in the Segment Editor, and draw an organ."),
        )
    if min(grid.GetImageData().GetDimensions()) < 2:
        return Problem(_("This is a single slice."), _("Choose a segmentation of a whole 3D volume."))
    return namesProblem(node)


def _emptyProblem(node):
    """The Problem that a node has no labels, or None."""
    name = node.GetName()
    if node.IsA("vtkMRMLSegmentationNode"):
        segmentation = node.GetSegmentation()
        if not segmentation.GetNumberOfSegments():
            return Problem(
                _("“{name}” has no segments.").format(name=name), _("Draw one first, or choose another one.")
            )
        bounds = [0.0] * 6
        node.GetRASBounds(bounds)
        if bounds[0] > bounds[1]:
            return Problem(_("The segments of “{name}” are empty.").format(name=name), _("Draw an organ first."))
    elif node.GetImageData() is None or not slicer.util.arrayFromVolume(node).any():
        return Problem(_("“{name}” holds no labels.").format(name=name), _("Choose a label map of organs."))
    return None
