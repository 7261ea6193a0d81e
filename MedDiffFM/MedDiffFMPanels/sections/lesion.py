"""The Lesion section that Inpaint Lesion and Generate Lesion share.

Before a run: the segment editor with Paint and Erase, “Place ellipsoid” and the kind of lesion. After a run: the
results one after another, and “Save as training pair”.
"""

import qt
import slicer
from slicer.i18n import tr as _

from MedDiffFMLib.errors import NO_ROOM, MissingModelError
from MedDiffFMLib.models import store as model_store

from ..failures import Failure, Problem, diskFull
from ..logic import PanelLogic
from ..runner.backend import savedBackend
from ..scene import exchange
from ..scene.lesion_segmentation import (
    digestOf,
    isDrawable,
    lesionOf,
    lesionProblem,
    lesionText,
    newLesion,
    showLesion,
)
from ..scene.training_pair import savePair
from ..toolkit.bindings import fillCombo
from ..toolkit.resources import RESOURCES
from ..toolkit.timer_loop import TimerLoop
from ..views.colors import quiet
from .lesion_editor import LesionEditor
from .task import TaskPart

CONTROLNET_PREFIX = "lesion-"  # of the folders of ControlNets for lesions
LESION_MASK = exchange.ATTRIBUTE + "lesionMask"  # a result's reference to its lesion, and its attribute with the digest


class LesionLogic(PanelLogic):
    """The logic of the tasks that put a lesion where it was drawn in a segmentation."""

    def process(self, inputVolume, lesion, target=None, backend=None, **parameters):
        """Run the task as `PanelLogic.process` does. lesion: a segmentation with one segment on the input's grid."""
        box = parameters.get("roi")
        box = None if isinstance(box, str) else box
        problem = self.inputProblem(inputVolume) or lesionProblem(lesion, inputVolume, box)
        if problem:
            raise Failure("input", problem.reason, problem.suggestion)
        return PanelLogic.process(self, inputVolume, target, backend, lesion_mask=lesion, **parameters)

    def start(self, inputs, parameters, *arguments, **options):
        """Start the task as `PanelLogic.start` does; a `lesion_mask` among the parameters becomes an input."""
        parameters = dict(parameters)
        if "lesion_mask" in parameters:
            inputs = inputs | {"lesion_mask": parameters.pop("lesion_mask")}
        self._lesionId, self._lesionDigest = inputs["lesion_mask"].GetID(), digestOf(inputs["lesion_mask"])
        return PanelLogic.start(self, inputs, parameters, *arguments, **options)

    def markLesion(self, node):
        """Store in a result which lesion it has and what was drawn then. Returns the result's node."""
        node.SetAttribute(LESION_MASK, self._lesionDigest)
        node.SetNodeReferenceID(LESION_MASK, self._lesionId)
        return node


class LesionPart(TaskPart):
    """The controls of the Lesion section."""

    def __init__(self, ui, bindings, actions):
        TaskPart.__init__(self, ui, bindings, actions)
        roots = self._load()
        self.editor = LesionEditor(self.ui, self.onDrawn, self.onPlaceFailed)
        self.editor.prepare()  # before the widgets follow the scene
        for root in roots:
            root.setMRMLScene(slicer.mrmlScene)
        self._kinds, self._busy, self._savingLoop = None, False, None
        self.ui.newLesionButton.connect("clicked(bool)", self.onNew)
        self.ui.previousButton.connect("clicked(bool)", lambda checked: actions.showNextResult(-1))
        self.ui.nextButton.connect("clicked(bool)", lambda checked: actions.showNextResult())
        self.ui.pairButton.connect("clicked(bool)", self.onSavePair)
        self.ui.outlineButton.connect("toggled(bool)", self.onOutline)

    def _load(self):
        """Load the shared controls: those for drawing above the task's own, those for results below the result's text.
        Returns their two root widgets.
        """
        roots = []
        for file, section, index in (("MedDiffFMLesion", "taskSection", 0), ("MedDiffFMLesionResult", None, 2)):
            root = slicer.util.loadUI(str(RESOURCES / "UI" / f"{file}.ui"))
            (self.ui.taskSection if section else self.ui.resultSection).layout().insertWidget(index, root)
            for name, widget in vars(slicer.util.childWidgetVariables(root)).items():
                setattr(self.ui, name, widget)
            roots.append(root)
        return roots

    # the lesion

    @property
    def lesion(self):
        """The chosen segmentation of the lesion, or None."""
        return self.bindings.chosenNode("lesionMask")

    def inputs(self):
        return {"lesion_mask": self.lesion}

    def update(self):
        self._listKinds()
        owner = self.inputNode
        if self._busy or not self.actions.isOpen():
            return
        self._busy = True
        try:
            if owner is not None and exchange.gridOf(owner) is not None:
                self._chooseLesion(owner)
            self.editor.show(self.lesion if owner and isDrawable(self.lesion) else None, owner)
        finally:
            self._busy = False
        self.ui.lesionLabel.text = quiet(lesionText(self.lesion) or _("Nothing is drawn yet."))
        self.ui.newLesionButton.enabled = owner is not None

    def _chooseLesion(self, owner):
        """Choose the lesion of this input, or a new one, unless the chosen one may be used with it."""
        chosen = self.lesion
        chosenOwner = chosen.GetNodeReference(exchange.LESION_OF) if chosen else None
        if chosen is None or (chosenOwner is not None and chosenOwner is not owner):
            self._choose(lesionOf(owner) or newLesion(owner))

    def _choose(self, node):
        self.bindings.node.SetNodeReferenceID("lesionMask", node.GetID())

    def sceneClosed(self):
        self.editor.prepare()

    def onNew(self, checked=False):
        """Add and choose another lesion on the same input; the old one stays in the scene."""
        self.editor.stop()
        self._choose(newLesion(self.inputNode))

    def onDrawn(self):
        self.ui.outlineButton.checked = True
        self.actions.refresh()

    def onPlaceFailed(self):
        self.actions.showMessage(_("The ellipsoid would lie outside the image. Click inside the image."))

    def escape(self):
        wasActive = self.ui.placeButton.checked
        self.ui.placeButton.checked = False
        return wasActive

    def leave(self, sceneCloses=False):
        self._busy = True  # so that `update` does not add again what is removed here
        try:
            self._leave(sceneCloses)
        finally:
            self._busy = False

    def _leave(self, sceneCloses):
        self.ui.outlineButton.checked = True
        self.editor.leave(sceneCloses)
        if self._savingLoop:
            self._savingLoop.stop()
        if sceneCloses:
            return
        node = self.lesion
        if node is not None and node.GetNodeReferenceID(exchange.LESION_OF) and not digestOf(node):
            slicer.mrmlScene.RemoveNode(node)  # nothing was drawn in it

    # the kind of lesion

    def _listKinds(self):
        """Fill the selector of kinds with those that the chosen model can draw."""
        kinds = None if savedBackend().remote else kindsOf(self.bindings.value("model"))
        if kinds == self._kinds and self.ui.kindBox.count:
            return
        self._kinds, chosen = kinds, self.bindings.value("kind")
        wasBlocked = self.ui.kindBox.blockSignals(True)
        fillCombo(self.ui.kindBox, [("auto", _("Automatic")), *((kind, kindText(kind)) for kind in kinds or ())])
        self.ui.kindBox.setCurrentIndex(max(0, self.ui.kindBox.findData(chosen)))
        self.ui.kindBox.blockSignals(wasBlocked)

    def problem(self):
        box = self.bindings.chosenNode("roi") if self.bindings.value("area") == "box" else None
        return self._kindProblem() or lesionProblem(self.lesion, self.inputNode, box)

    def _kindProblem(self):
        if self._kinds is None:  # a remote computer's models are not known here
            return None
        kind, suggestion = self.bindings.value("kind"), _("Choose another model under Advanced.")
        if not self._kinds:
            return Problem(_("This model cannot draw lesions: it has no ControlNet for them."), suggestion)
        if kind not in ("", "auto", *self._kinds):
            reason = _("This model has no ControlNet for lesions of the kind “{kind}”.").format(kind=kindText(kind))
            return Problem(reason, _("Choose another kind, or another model under Advanced."))
        return None

    # results

    def showResult(self, nodes, source):
        lesion = nodes[0].GetNodeReference(LESION_MASK)
        if lesion is not None:
            showLesion(lesion)
        return False  # the panel shows the views

    def onOutline(self, shown):
        """Show or hide the outline of the lesion in the slices, since it covers the lesion's rim."""
        display = self.lesion.GetDisplayNode() if self.lesion else None
        if display:
            display.SetVisibility2D(shown)

    def showSeveral(self, nodes):
        """Show the buttons for the next and the previous result if there are several."""
        self.ui.previousButton.visible = self.ui.nextButton.visible = len(nodes) > 1

    def onSavePair(self, checked=False):
        """Ask for a folder, and write the result in the views and its mask into it."""
        node = self.actions.shownResult()
        lesion = node.GetNodeReference(LESION_MASK) if node else None
        if lesion is None or digestOf(lesion) != node.GetAttribute(LESION_MASK):
            self.actions.showMessage(
                _("The lesion was changed or removed since this result was made, so they do not fit. Run again first.")
            )
            return
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder of training pairs"))
        if folder:
            self.ui.pairButton.enabled = False
            self._savingLoop = TimerLoop(savePair(folder, node, lesion), self._onSaved(folder))

    def _onSaved(self, folder):
        """A function (path, error) that shows how saving into the folder ended."""

        def onEnd(path, error):
            self.ui.pairButton.enabled = True
            if error is None:
                text = _("Saved as {name}, with its mask, in {folder}, and listed in manifest.csv there.")
                text = text.format(name=path.name, folder=folder)
            elif isinstance(error, ValueError):
                text = _("{folder} holds a manifest.csv of another kind. Choose another folder.").format(folder=folder)
            else:
                text = _("Nothing was saved in {folder}: {reason}. Choose another folder.")
                text = diskFull(folder).message if getattr(error, "errno", 0) in NO_ROOM else text
                text = text.format(folder=folder, reason=getattr(error, "strerror", None) or error)
            self.actions.showMessage(text)

        return onEnd


def kindsOf(model):
    """The kinds of lesions that an installed model can draw, sorted; empty if there is no such model."""
    try:
        folder = model_store.find_model(model or None).folder
    except (MissingModelError, OSError):
        return []
    configs = (folder / "controlnets").glob(f"{CONTROLNET_PREFIX}*/config.json")
    return sorted(config.parent.name.removeprefix(CONTROLNET_PREFIX) for config in configs)


def kindText(kind):
    """The name of a kind of lesion for the user."""
    texts = {"lung": _("Lung nodule"), "lung-tumor": _("Lung tumor"), "liver": _("Liver lesion")}
    return texts.get(kind) or kind.replace("-", " ").capitalize()
