"""Denoise: removes the noise of a CT and keeps its anatomy. A thin module over MedDiffFMPanels."""

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
from MedDiffFMPanels.tasks.denoise import DenoiseLogic, DenoisePart


class MedDiffFMDenoise(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Denoise CT (MedDiff-FM)")
        parent.categories = [translate("qSlicerAbstractCoreModule", "MedDiff-FM")]
        what = _("Removes the noise of a low-dose CT and keeps its anatomy, without a second scan.")
        describeModule(parent, "denoise", what)


class MedDiffFMDenoiseWidget(PanelWidget):
    taskPart = DenoisePart

    def makeLogic(self):
        return MedDiffFMDenoiseLogic(keepsFull=True)


class MedDiffFMDenoiseLogic(DenoiseLogic):
    """The task for scripts: `MedDiffFMDenoiseLogic().process(volumeNode, quality="fast")` returns the result's node."""


class MedDiffFMDenoiseTest(ScriptedLoadableModuleTest):
    def runTest(self):
        from MedDiffFMPanels.self_test import checkDenoise

        slicer.mrmlScene.Clear()
        checkDenoise(self, MedDiffFMDenoiseLogic())
