"""The panel of a module: its sections, and the methods that connect them.

`PanelWidget` is the base of each module's widget; what is special to a task is its `TaskPart` (see tasks/denoise.py).
"""

import qt
import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from .failures import Failure
from .module import unloadSharedPackages
from .runner.backend import savedBackend
from .runner.job import sharedWorker
from .runner.setup_obstacles import slicerProblem
from .scene import exchange
from .scene.command_line import commandLine
from .scene.input_changes import InputChanges
from .scene.written_volume import writtenVolume
from .sections.advanced import AdvancedPart
from .sections.batch import BatchPart
from .sections.choices import chosenInputs, chosenParameters
from .sections.estimate import EstimatePart
from .sections.input import InputPart
from .sections.result import ResultPart
from .sections.run import RunPart
from .sections.settings_area import SettingsArea
from .sections.task import PanelActions
from .toolkit import announcement as announce
from .toolkit import keyboard
from .toolkit.bindings import Bindings, firstVolume
from .toolkit.preferences import Preferences
from .toolkit.resources import loadPanel
from .toolkit.timer_loop import Delay
from .views.preview import Preview

WAIT_MS = 1000  # between two checks whether another panel's job has ended


class PanelWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The base of the modules' widgets. A subclass sets `taskPart` to its subclass of `TaskPart`."""

    taskPart = None
    inputPart = InputPart
    firstInput = staticmethod(firstVolume)  # the node that the input selector shows at first

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.bindings = None

    # setup and cleanup

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = self.makeLogic()
        self._root, self.ui = loadPanel(self.resourcePath(f"UI/{self.moduleName}.ui"))
        self.layout.addWidget(self._root)
        self._area, self.bindings = SettingsArea(self.ui.settingsArea), Bindings(self.update)
        self._wait, self._changes = Delay(WAIT_MS, self.update), InputChanges(self.update)
        self._makeSections()
        self.bindings.bind(vars(self.ui).values())
        self.preferences = Preferences(self.ui, self.bindings, self.logic.task)
        self._connect()
        self._escape = keyboard.prepare(self._root, self.ui, self.onEscape)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        # node selectors know the nodes of a loaded scene only after the batch
        self.addObserver(scene, scene.EndBatchProcessEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodesChanged)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodesChanged)
        self.initializeParameterNode()

    def onReload(self):
        """Reload the module and the packages that the modules share (developer mode)."""
        unloadSharedPackages()
        ScriptedLoadableModuleWidget.onReload(self)

    def _makeSections(self):
        self.input, self.run = self.inputPart(self.ui, self.bindings, self.update), RunPart(self.ui)
        self.preview, self.task = Preview(), self.taskPart(self.ui, self.bindings, self._actions())
        self.result = ResultPart(self.ui, self.task)
        self.estimate = EstimatePart(
            self.makeLogic(), self.inputs, self.parameters, self.run.showEstimate, self.task.showFacts, self.onEstimate
        )
        self.advanced = AdvancedPart(self.ui, self.estimate.stop, self.onBackendChanged, self.run.showMessage)
        ends = (self.onBatchBegin, self.onBatchEnd)
        self.batch = BatchPart(self.ui, self.logic.task, self.parameters, self.prepareRun, *ends)

    def _actions(self):
        """The functions that the task's part may call."""
        return PanelActions(
            refresh=self.update,
            showMessage=self.run.showMessage,
            isOpen=lambda: self.parent.isEntered,
            shownResult=lambda: self.result.shown,
            renewResult=lambda: self.result.renew(),
            showNextResult=lambda step=1: self.result.showNext(step),
        )

    def _connect(self):
        self.ui.runButton.connect("clicked(bool)", self.onRunButton)
        self.ui.copyButton.connect("clicked(bool)", self.onCopy)
        self.ui.messageButton.connect("clicked(bool)", self.advanced.onSetUp)
        self.ui.inputSection.connect("contentsCollapsed(bool)", lambda collapsed: self.update())
        slicer.app.connect("aboutToQuit()", self.onQuit)

    def cleanup(self):
        if self.logic.busy or self.batch.running:
            announce.end("")
        self.logic.abandon()
        self.batch.abandon()
        self._leave()
        self.removeObservers()
        slicer.app.disconnect("aboutToQuit()", self.onQuit)
        writtenVolume(sharedWorker()).drop()
        if sharedWorker().job is None:
            sharedWorker().end()
        if self.bindings:
            self.bindings.setNode(None)

    def onQuit(self):
        self.logic.abandon()
        self.batch.abandon()
        self.estimate.stop()
        sharedWorker().end()

    def enter(self):
        sharedWorker().panelEntered()
        self.initializeParameterNode()
        self.result.showPending()

    def exit(self):
        self._leave()
        sharedWorker().panelLeft()

    def _leave(self):
        """Stop what only an open panel may do: estimate, and act on the views."""
        self._wait.stop()
        self._changes.stop()
        self.estimate.stop()
        self.advanced.cancelHello()
        self.task.leave()
        self.preview.end()
        self.result.stop()

    # the scene

    def initializeParameterNode(self):
        node = self.logic.getParameterNode()
        self.preferences.applyDefaults()
        self.bindings.setNode(node)
        if not self.bindings.chosenNode("input") and (first := self.firstInput()):
            node.SetNodeReferenceID("input", first.GetID())
        self.update()

    def onSceneStartClose(self, caller, event):
        self.estimate.stop()
        self._changes.stop()
        self.preview.end(restore=False)
        self.result.setPending([])
        self.result.clear()
        self.task.leave(sceneCloses=True)
        self.bindings.setNode(None)

    def onSceneEndClose(self, caller, event):
        self.task.sceneClosed()
        if self.parent.isEntered and not slicer.mrmlScene.IsBatchProcessing():
            self.initializeParameterNode()

    def onNodesChanged(self, caller, event):
        if self.bindings.node is None or slicer.mrmlScene.IsBatchProcessing():
            return
        if not self.bindings.chosenNode("input") and self.parent.isEntered and (first := self.firstInput()):
            self.bindings.node.SetNodeReferenceID("input", first.GetID())
        self.result.forgetRemoved()
        self.update()

    # choices

    @property
    def inputNode(self):
        return self.bindings.chosenNode("input") if self.bindings else None

    def inputs(self):
        return chosenInputs(self.logic.task, self.task, self.bindings)

    def parameters(self, ofAnyInput=False):
        return chosenParameters(self.logic.task, self.task, self.bindings, ofAnyInput)

    def update(self):
        """Update all sections after a change of a setting, a node or a job."""
        if self.bindings is None or self.bindings.node is None:
            return
        self.task.update()
        problem = slicerProblem() or self.input.show() or self.task.problem()
        self.run.showReady(problem, self.logic.busy, self._otherBusy())
        self.batch.update()
        if not self.logic.busy and self.parent.isEntered:
            self.estimate.schedule(problem)
        if self.parent.isEntered:
            chosen = (*self.inputs().values(), *self.parameters().values())
            self._changes.observe([value for value in chosen if not isinstance(value, str)])

    def _otherBusy(self):
        """A sentence on another panel's job that runs, or an empty text."""
        ownJob = self.logic.busy or self.estimate.busy or self.advanced.askingHello
        if sharedWorker().job is None or ownJob:
            return ""
        if self.parent.isEntered:
            self._wait.start()  # there is no signal when that job ends
        return announce.waitReason()

    # running

    def onRunButton(self, checked=False):
        if self.logic.busy:
            self.run.showCancelling()
            self.logic.cancel()
        else:
            self.startRun()

    def onEscape(self):
        """End “Place ellipsoid”; cancel the run only if the button Cancel has the focus."""
        if not self.task.escape() and self.logic.busy and self.ui.runButton.focus:
            self.onRunButton()

    def prepareRun(self):
        """Stop this panel's other requests to the worker. Returns whether a run can begin."""
        if not self.advanced.ensurePackages():
            return False
        self.estimate.stop()
        self.advanced.cancelHello()
        return True

    def startRun(self):
        if not self.prepareRun():
            return
        self.run.begin()
        self.result.setPending([])
        self.preview.begin(self.inputNode)
        announce.begin(_("{task}: {name}").format(task=self.title, name=self.inputNode.GetName()))
        try:
            nodes, target = self.inputs(), self.bindings.chosenNode("target")
            callbacks = (self.onProgress, self.onPreview, self.onEnd)
            self.logic.start(nodes, self.parameters(), target, *callbacks, backend=savedBackend())
        except Failure as failure:
            self.onEnd(None, failure)
        self.update()

    @property
    def title(self):
        return self.parent.windowTitle or self.task.title

    def onProgress(self, event):
        self.run.showProgress(event)
        announce.progress(self.ui.statusLabel.text)

    def onPreview(self, path):
        if self.parent.isEntered:
            self.preview.show(path)

    def onEnd(self, nodes, failure):
        """Show how a run ended: with results, with a failure, or with neither after a cancel."""
        self.preview.end(restore=not nodes)
        self.run.end(nodes, failure, self.logic.log)
        isOpen = self.parent.isEntered
        announce.end(announce.endText(self.title, nodes, failure, isOpen), stays=not isOpen)
        if nodes:
            self.result.setPending(nodes)
            self.advanced.showModelAndDevice(exchange.provenanceOf(nodes[0]))
        if isOpen:
            self.result.showPending()
        self.update()

    def onEstimate(self, answered):
        self.update()
        if answered:
            self.advanced.askForModelOnce()

    def onBackendChanged(self):
        self.estimate.forget()
        self.update()

    def onBatchBegin(self):
        announce.begin(_("{task}: a batch").format(task=self.title))
        self.update()

    def onBatchEnd(self, text):
        announce.end(f"{self.title}: {text}", stays=not self.parent.isEntered)
        self.update()

    # buttons

    def onCopy(self, checked=False):
        names = [exchange.fileName(node) if node else "INPUT.nii.gz" for node in self.inputs().values()]
        qt.QApplication.clipboard().setText(commandLine(self.logic.task, self.parameters(), names))
        self.run.showMessage(_("The command is on the clipboard. Save the volume under the file name in it first."))
