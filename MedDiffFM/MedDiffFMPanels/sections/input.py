"""The Input section of a panel: the CT, its region, its anatomy, and the area to work on."""

import slicer
from slicer.i18n import tr as _

from ..scene.checks import boxProblem, confirmHardening, maskProblem, problemOf, targetProblem
from ..scene.input_changes import inputKey, transformKey
from ..scene.organ_names import namesProblem
from ..toolkit.bindings import fillCombo
from ..views.colors import quiet, warning


class InputPart:
    """The controls of the Input section."""

    problemOf = staticmethod(problemOf)

    def __init__(self, ui, bindings, onChange):
        """onChange: called when this section has changed the input's node, by hardening its transform."""
        self.ui, self._bindings, self._onChange = ui, bindings, onChange
        regions = [("auto", _("Automatic")), ("head-neck", _("Head and neck")), ("chest", _("Chest"))]
        fillCombo(ui.regionBox, [*regions, ("abdomen", _("Abdomen"))])
        anatomy = [
            ("auto", _("Automatic")),
            ("segmentation", _("A segmentation in the scene")),
            ("threshold", _("Body, lungs and bones by threshold")),
            ("totalsegmentator", _("TotalSegmentator (if installed)")),
            ("none", _("None")),
        ]
        fillCombo(ui.anatomyBox, anatomy)
        fillCombo(ui.areaBox, [("whole", _("Whole volume")), ("box", _("Only a box"))])
        ui.newBoxButton.connect("clicked(bool)", self.onNewBox)
        ui.fixButton.connect("clicked(bool)", self.onFix)
        self._volumeCheck = (None, None)  # (state, Problem) of the last check

    def show(self):
        """Show the rows that belong to the choices, and the input's Problem or size. Returns the Problem, or None."""
        bindings = self._bindings
        segmentation, box = bindings.value("anatomyKind") == "segmentation", bindings.value("area") == "box"
        for name, visible in (("anatomyRow", segmentation), ("boxRow", box)):
            getattr(self.ui, name).visible = visible
            getattr(self.ui, name + "Label").visible = visible
        node = bindings.chosenNode("input")
        problem = self._volumeProblem(node)
        if problem is None and segmentation:
            organs = bindings.chosenNode("anatomySegmentation")
            problem = maskProblem(organs, node, _("segmentation")) or namesProblem(organs)
        if problem is None and box:
            problem = boxProblem(bindings.chosenNode("roi"), node)
        if problem is None:
            problem = targetProblem(bindings.chosenNode("target"), [node])
        self.ui.inputLabel.text = warning(problem.text) if problem else self.text(node)
        self.ui.fixButton.visible = bool(problem and problem.fix == "harden")
        return problem

    def _volumeProblem(self, node):
        """The Problem of the volume, checked once for each of its states because that reads many voxels."""
        state = node and (node.GetMTime(), transformKey(node), inputKey(node))
        if state != self._volumeCheck[0] or node is None:
            self._volumeCheck = (state, self.problemOf(node))
        return self._volumeCheck[1]

    def text(self, node):
        """The line below the input's selector: its size."""
        return sizeText(node)

    def onFix(self, checked=False):
        """Ask, then harden the transform of the input."""
        node = self._bindings.chosenNode("input")
        if confirmHardening(node):
            slicer.vtkSlicerTransformLogic().hardenTransform(node)
        self._onChange()

    def onNewBox(self, checked=False):
        """Add and choose a box in the center of the input, half as long as it along each axis."""
        box = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", _("MedDiff-FM box"))
        box.CreateDefaultDisplayNodes()
        bounds = [0.0] * 6
        self._bindings.chosenNode("input").GetRASBounds(bounds)
        box.SetXYZ([(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)])
        box.SetRadiusXYZ([(bounds[2 * axis + 1] - bounds[2 * axis]) / 4 for axis in range(3)])
        self._bindings.node.SetNodeReferenceID("roi", box.GetID())


def sizeText(node):
    """A line on a volume's numbers of voxels and its spacing, as rich text."""
    image = node.GetImageData()
    size = " × ".join(str(n) for n in image.GetDimensions())
    spacing = " × ".join(f"{s:.3g}" for s in node.GetSpacing())
    return quiet(_("{size} voxels of {spacing} mm").format(size=size, spacing=spacing))
