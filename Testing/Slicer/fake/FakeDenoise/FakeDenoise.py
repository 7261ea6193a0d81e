"""A scripted module in the ordinary Slicer style; nothing in this file knows about the harness."""

import os
import shutil
import sys
import tempfile

import qt
import slicer
import vtk
from FakeDenoiseLib.job import Job
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class FakeDenoise(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "Fake denoise"
        parent.categories = ["MedDiffFM"]
        parent.dependencies = []
        parent.contributors = ["probe"]
        parent.helpText = "Smooths a volume in another process."


class FakeDenoiseWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._updating = False

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/FakeDenoise.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = FakeDenoiseLogic()
        self.ui.inputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.updateParameterNodeFromGUI)
        self.ui.outputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.updateParameterNodeFromGUI)
        self.ui.strengthSlider.connect("valueChanged(double)", self.updateParameterNodeFromGUI)
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.ui.cancelButton.connect("clicked(bool)", self.onCancel)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.ui.progressBar.visible = False
        self.ui.cancelButton.enabled = False
        self.initializeParameterNode()

    def enter(self):
        self.initializeParameterNode()

    def cleanup(self):
        self.logic.cancel()
        self.removeObservers()

    def onSceneStartClose(self, caller, event):
        self.logic.cancel()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.GetNodeReference("Input"):
            first = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if first:
                self._parameterNode.SetNodeReferenceID("Input", first.GetID())

    def setParameterNode(self, node):
        if self._parameterNode is not None and self.hasObserver(
            self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateGUI
        ):
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateGUI)
        self._parameterNode = node
        if node is not None:
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.updateGUI)
        self.updateGUI()

    def updateGUI(self, caller=None, event=None):
        if self._parameterNode is None or self._updating:
            return
        self._updating = True
        p = self._parameterNode
        self.ui.inputSelector.setCurrentNode(p.GetNodeReference("Input"))
        self.ui.outputSelector.setCurrentNode(p.GetNodeReference("Output"))
        if p.GetParameter("Strength"):
            self.ui.strengthSlider.value = float(p.GetParameter("Strength"))
        self._updating = False
        self.updateButtons()

    def updateParameterNodeFromGUI(self, *args):
        if self._parameterNode is None or self._updating:
            return
        wasModified = self._parameterNode.StartModify()
        self._parameterNode.SetNodeReferenceID("Input", self.ui.inputSelector.currentNodeID)
        self._parameterNode.SetNodeReferenceID("Output", self.ui.outputSelector.currentNodeID)
        self._parameterNode.SetParameter("Strength", str(self.ui.strengthSlider.value))
        self._parameterNode.EndModify(wasModified)
        self.updateButtons()

    def updateButtons(self):
        ready = bool(self.ui.inputSelector.currentNode()) and not self.logic.busy
        self.ui.applyButton.enabled = ready
        self.ui.applyButton.toolTip = "Run" if ready else "Select an input volume"
        self.ui.cancelButton.enabled = self.logic.busy
        self.ui.progressBar.visible = self.logic.busy

    def onApply(self):
        with slicer.util.tryWithErrorDisplay("Failed to start.", waitCursor=True):
            if not self.ui.outputSelector.currentNode():
                self.ui.outputSelector.addNode()
            self.ui.progressBar.value = 0
            self.logic.process(
                self.ui.inputSelector.currentNode(),
                self.ui.outputSelector.currentNode(),
                self.ui.strengthSlider.value,
                self.onProgress,
                self.onDone,
            )
        self.updateButtons()

    def onProgress(self, fraction, text):
        self.ui.progressBar.value = int(100 * fraction)
        self.ui.statusLabel.text = text

    def onDone(self, ok, message):
        self.ui.statusLabel.text = message
        self.updateButtons()
        if ok:
            slicer.util.setSliceViewerLayers(background=self.ui.outputSelector.currentNode(), fit=True)

    def onCancel(self):
        self.logic.cancel()


class FakeDenoiseLogic(ScriptedLoadableModuleLogic):
    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self._job = None

    @property
    def busy(self):
        return self._job is not None and self._job.running

    def process(self, inputVolume, outputVolume, strength, progress=None, done=None):
        work = tempfile.mkdtemp(prefix="meddifffm_")
        src, dst = os.path.join(work, "in.npy"), os.path.join(work, "out.npy")
        import numpy

        numpy.save(src, slicer.util.arrayFromVolume(inputVolume))
        inputID, outputID = inputVolume.GetID(), outputVolume.GetID()  # nodes may go away while the job runs

        def finished(code, tail):
            try:
                i, o = slicer.mrmlScene.GetNodeByID(inputID), slicer.mrmlScene.GetNodeByID(outputID)
                if code == 0 and i and o:
                    slicer.util.updateVolumeFromArray(o, numpy.load(dst))
                    m = vtk.vtkMatrix4x4()
                    i.GetIJKToRASMatrix(m)
                    o.SetIJKToRASMatrix(m)
                    o.SetAndObserveTransformNodeID(i.GetTransformNodeID())
                    o.CreateDefaultDisplayNodes()
                    result = (True, "Done")
                elif code == 0:
                    result = (False, "The volumes were deleted while the job ran")
                else:
                    result = (False, "Cancelled" if self._job.cancelled else "Failed: " + tail)
            finally:
                shutil.rmtree(work, ignore_errors=True)
            if done:
                done(*result)

        worker = os.path.join(os.path.dirname(os.path.abspath(__file__)), "FakeDenoiseLib", "worker.py")
        self._job = Job(
            [shutil.which("PythonSlicer") or sys.executable, "-u", worker, src, dst, str(strength)],
            progress,
            finished,
            log=os.path.join(work, "log.txt"),
        )
        self._job.start()

    def cancel(self):
        if self.busy:
            self._job.cancel()


class FakeDenoiseTest(ScriptedLoadableModuleTest):
    def runTest(self):
        slicer.mrmlScene.Clear()
        import numpy

        v = slicer.util.addVolumeFromArray(
            numpy.random.default_rng(0).normal(0, 50, (8, 16, 16)).astype("float32"), name="in"
        )
        o = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "out")
        logic = FakeDenoiseLogic()
        loop = qt.QEventLoop()
        got = []
        logic.process(v, o, 2.0, None, lambda ok, m: (got.append((ok, m)), loop.quit()))
        loop.exec_()
        self.assertEqual(got, [(True, "Done")])
        self.assertLess(slicer.util.arrayFromVolume(o).std(), slicer.util.arrayFromVolume(v).std())
