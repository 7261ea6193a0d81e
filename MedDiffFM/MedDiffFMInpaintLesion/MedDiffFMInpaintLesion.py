"""Inpaint Lesion: puts a synthetic lesion into a CT where it was drawn. A thin module over MedDiffFMPanels."""

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
from MedDiffFMPanels.tasks.inpaint_lesion import InpaintLesionLogic, InpaintLesionPart


class MedDiffFMInpaintLesion(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Inpaint CT Lesion (MedDiff-FM)")
        parent.categories = [translate("qSlicerAbstractCoreModule", "MedDiff-FM")]
        steps = _(
            "Choose a CT. Draw a lesion with <b>Paint</b>, or click <b>Place ellipsoid</b> and then into a slice. "
            "Click <b>Run</b>, and compare the result with the input. Everything else is optional."
        )
        what = _("Puts a synthetic lesion into a CT where you draw it. No voxel outside of it is changed.")
        describeModule(parent, "inpaint-lesion", what, steps)


class MedDiffFMInpaintLesionWidget(PanelWidget):
    taskPart = InpaintLesionPart

    def makeLogic(self):
        return MedDiffFMInpaintLesionLogic()


class MedDiffFMInpaintLesionLogic(InpaintLesionLogic):
    """The task for scripts: `MedDiffFMInpaintLesionLogic().process(volumeNode, segmentationNode)` returns the result's
    node.
    """


class MedDiffFMInpaintLesionTest(ScriptedLoadableModuleTest):
    def runTest(self):
        from MedDiffFMPanels.self_test import checkInpaintLesion

        slicer.mrmlScene.Clear()
        checkInpaintLesion(self, MedDiffFMInpaintLesionLogic())
