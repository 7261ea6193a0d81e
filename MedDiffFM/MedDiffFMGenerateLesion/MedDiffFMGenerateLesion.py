"""Generate Lesion: makes synthetic CTs with a lesion from organs. A thin module over MedDiffFMPanels."""

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
from MedDiffFMPanels.sections.label_input import LabelInputPart, firstLabels
from MedDiffFMPanels.tasks.generate_lesion import GenerateLesionLogic, GenerateLesionPart


class MedDiffFMGenerateLesion(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Generate CT Lesion (MedDiff-FM)")
        parent.categories = [translate("qSlicerAbstractCoreModule", "MedDiff-FM")]
        steps = _(
            "Choose a segmentation of organs. Draw a lesion with <b>Paint</b>, or click <b>Place ellipsoid</b> and "
            "then into a slice. Click <b>Run</b>, and look at the resulting CTs. Everything else is optional."
        )
        what = _(
            "Makes synthetic CTs, of no real patient, with a lesion where you draw it, from a segmentation of organs."
        )
        describeModule(parent, "generate-lesion", what, steps)


class MedDiffFMGenerateLesionWidget(PanelWidget):
    taskPart = GenerateLesionPart
    inputPart = LabelInputPart
    firstInput = staticmethod(firstLabels)

    def makeLogic(self):
        return MedDiffFMGenerateLesionLogic()


class MedDiffFMGenerateLesionLogic(GenerateLesionLogic):
    """The task for scripts: `MedDiffFMGenerateLesionLogic().process(organsNode, lesionNode)` returns the node."""


class MedDiffFMGenerateLesionTest(ScriptedLoadableModuleTest):
    def runTest(self):
        from MedDiffFMPanels.self_test import checkGenerateLesion

        slicer.mrmlScene.Clear()
        checkGenerateLesion(self, MedDiffFMGenerateLesionLogic())
