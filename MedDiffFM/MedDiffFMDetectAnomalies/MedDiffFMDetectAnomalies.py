"""Detect Anomalies: finds where an organ differs from what the model expects. A thin module over MedDiffFMPanels."""

import os
import sys

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleTest

try:
    import MedDiffFMPanels  # noqa: F401
except ImportError:  # opened from the source tree, where it lies beside this module's folder
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path += [os.path.dirname(here), os.path.dirname(os.path.dirname(here))]

from MedDiffFMPanels.module import describeModule
from MedDiffFMPanels.panel import PanelWidget
from MedDiffFMPanels.tasks.detect_anomalies import DetectAnomaliesLogic, DetectAnomaliesPart


class MedDiffFMDetectAnomalies(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Detect CT Anomalies (MedDiff-FM)")
        parent.categories = [translate("qSlicerAbstractCoreModule", "MedDiff-FM")]
        what = _(
            "Compares an organ with what the model expects of a healthy one, and lists where it is brighter or darker. "
            "The bundled model gives many false findings: look at each one."
        )
        describeModule(parent, "detect-anomalies", what)


class MedDiffFMDetectAnomaliesWidget(PanelWidget):
    taskPart = DetectAnomaliesPart

    def makeLogic(self):
        return MedDiffFMDetectAnomaliesLogic()


class MedDiffFMDetectAnomaliesLogic(DetectAnomaliesLogic):
    """The task for scripts: `map = logic.process(volumeNode, organ="liver", anatomy=segmentationNode)` returns the
    map's node, `logic.findings(map)` its `segmentation` and `table`.
    """


class MedDiffFMDetectAnomaliesTest(ScriptedLoadableModuleTest):
    def runTest(self):
        from MedDiffFMPanels.self_test import checkDetectAnomalies

        slicer.mrmlScene.Clear()
        checkDetectAnomalies(self, MedDiffFMDetectAnomaliesLogic())
