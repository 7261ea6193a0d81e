"""Part 1 of a panel: the CT, its region, what is known of its anatomy, and the area to work on."""

import slicer
from slicer.i18n import tr as _

from ..scene.checks import boxProblem, confirmHardening, maskProblem, problemOf, targetProblem
from ..scene.input_changes import inputKey, placeKey
from ..scene.organ_names import namesProblem
from ..toolkit.bindings import fillCombo
from ..views.colors import quiet, warning


class InputPart:
    problemOf = staticmethod(problemOf)

    def __init__(self, ui, bindings, onChange):
        """onChange: called when the input's node was changed here, as by hardening its transform."""
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
        self._checked = (None, None)

    def show(self):
        """Show what goes with the choices. Returns the Problem of the input, or None."""
        bindings = self._bindings
        segmentation, box = bindings.value("anatomyKind") == "segmentation", bindings.value("area") == "box"
        for name, wanted in (("anatomyRow", segmentation), ("boxRow", box)):
            getattr(self.ui, name).visible = wanted
            getattr(self.ui, name + "Label").visible = wanted
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
        """Looked at once for each state of the volume: it reads many voxels."""
        state = node and (node.GetMTime(), placeKey(node), inputKey(node))
        if state != self._checked[0] or node is None:
            self._checked = (state, self.problemOf(node))
        return self._checked[1]

    def text(self, node):
        """The input's size in words, for below its selector."""
        return sizeText(node)

    def onFix(self, checked=False):
        """Harden the transform of the input, if its user wants that."""
        node = self._bindings.chosenNode("input")
        if confirmHardening(node):
            slicer.vtkSlicerTransformLogic().hardenTransform(node)
        self._onChange()

    def onNewBox(self, checked=False):
        """Choose a new box of half the input's edges in its middle."""
        box = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", _("MedDiff-FM box"))
        box.CreateDefaultDisplayNodes()
        bounds = [0.0] * 6
        self._bindings.chosenNode("input").GetRASBounds(bounds)
        box.SetXYZ([(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)])
        box.SetRadiusXYZ([(bounds[2 * axis + 1] - bounds[2 * axis]) / 4 for axis in range(3)])
        self._bindings.node.SetNodeReferenceID("roi", box.GetID())


def sizeText(node):
    image = node.GetImageData()
    size = " × ".join(str(n) for n in image.GetDimensions())
    spacing = " × ".join(f"{s:.3g}" for s in node.GetSpacing())
    return quiet(_("{size} voxels of {spacing} mm").format(size=size, spacing=spacing))
