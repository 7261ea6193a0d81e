"""Stand-in for the widget that holds a scripted module's panel, and CTK's message box."""

from __future__ import annotations

import sys

from PySide6.QtCore import Property

from .dialogs import QMessageBox
from .mrml_widgets import qSlicerWidget
from .properties import remembered
from .uiloader import stand_in


@stand_in("Base/QTGUI/qSlicerScriptedLoadableModuleWidget.h")
class qSlicerScriptedLoadableModuleWidget(qSlicerWidget):
    """qSlicerScriptedLoadableModuleWidget and qSlicerAbstractModuleWidget: the `parent` of a module's widget object."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._widget, self._entered = None, False

    def self(self):
        return self._widget

    def remember(self, widget):
        """(The harness's own.)"""
        self._widget = widget

    def reload(self):
        """The widget object anew, of the class that its module has now."""
        import slicer

        name = self._widget.moduleName
        self._widget = getattr(sys.modules[name], f"{name}Widget")(self)
        setattr(slicer.modules, f"{name}Widget", self._widget)
        self._widget.setup()

    def in_module_panel(self, panel):
        """(The harness's own.) The panel about it lives as long."""
        self._module_panel = panel

    def set_entered(self, entered):
        """(The harness's own.)"""
        self._entered = entered

    isEntered = Property(bool, lambda self: self._entered)


@stand_in("Libs/Widgets/ctkMessageBox.h")
class ctkMessageBox(QMessageBox):
    """ctkMessageBox: a QMessageBox with "Don't show again"."""

    dontShowAgain = remembered(bool, False)
    dontShowAgainVisible = remembered(bool, False)
    dontShowAgainSettingsKey = remembered(str, "")
