"""Synthesize CT: makes synthetic CTs from a segmentation of organs. A thin module over MedDiffFMPanels."""

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
from MedDiffFMPanels.tasks.synthesize import SynthesizeLogic, SynthesizePart


class MedDiffFMSynthesize(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Synthesize CT (MedDiff-FM)")
        parent.categories = [translate("qSlicerAbstractCoreModule", "MedDiff-FM")]
        steps = _(
            "Choose a segmentation of organs, click <b>Run</b>, and look at the resulting CTs. "
            "Everything else is optional."
        )
        describeModule(
            parent, "synthesize", _("Makes synthetic CTs, of no real patient, from a segmentation of organs."), steps
        )


class MedDiffFMSynthesizeWidget(PanelWidget):
    taskPart = SynthesizePart
    inputPart = LabelInputPart
    firstInput = staticmethod(firstLabels)

    def makeLogic(self):
        return MedDiffFMSynthesizeLogic()


class MedDiffFMSynthesizeLogic(SynthesizeLogic):
    """The task for scripts: `MedDiffFMSynthesizeLogic().process(segmentationNode)` returns the result's node."""


class MedDiffFMSynthesizeTest(ScriptedLoadableModuleTest):
    def runTest(self):
        from MedDiffFMPanels.self_test import checkSynthesize

        slicer.mrmlScene.Clear()
        checkSynthesize(self, MedDiffFMSynthesizeLogic())
