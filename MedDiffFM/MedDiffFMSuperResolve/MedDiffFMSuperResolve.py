"""Super-Resolve: makes thin slices from thick ones. A thin module over MedDiffFMPanels."""

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
from MedDiffFMPanels.tasks.super_resolve import SuperResolveLogic, SuperResolvePart


class MedDiffFMSuperResolve(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Super-Resolve CT (MedDiff-FM)")
        parent.categories = [translate("qSlicerAbstractCoreModule", "MedDiff-FM")]
        what = _("Makes thin slices from the thick ones of a CT, for a smoother view from the side.")
        describeModule(parent, "super-resolve", what)


class MedDiffFMSuperResolveWidget(PanelWidget):
    taskPart = SuperResolvePart

    def makeLogic(self):
        return MedDiffFMSuperResolveLogic()


class MedDiffFMSuperResolveLogic(SuperResolveLogic):
    """The task for scripts: `MedDiffFMSuperResolveLogic().process(volumeNode, spacing=1)` returns the result's node."""


class MedDiffFMSuperResolveTest(ScriptedLoadableModuleTest):
    def runTest(self):
        from MedDiffFMPanels.self_test import checkSuperResolve

        slicer.mrmlScene.Clear()
        checkSuperResolve(self, MedDiffFMSuperResolveLogic())
