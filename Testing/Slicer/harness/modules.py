"""Modules: what slicer.modules and the module manager know, and opening one's panel as the application does."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from .errors import NotInSlicer


class ModuleRecord:
    """qSlicerScriptedLoadableModule and qSlicerAbstractCoreModule: what a module's Python object may write and read."""

    def __init__(self, name, path="", logic=None):
        written = {"name": name, "path": str(path), "title": name, "icon": None, "hidden": False, "index": -1}
        written |= {"helpText": "", "acknowledgementText": "", "_logic": logic, "_widget": None}
        written |= {key: [] for key in ("categories", "dependencies", "contributors", "associatedNodeTypes")}
        self.__dict__.update(written)

    def logic(self):
        return self._logic

    def widgetRepresentation(self):
        return self._widget

    def __getattr__(self, name):
        raise NotInSlicer(f"a module (qSlicerScriptedLoadableModule) has no {name}")

    def __setattr__(self, name, value):
        if name not in vars(self):
            raise NotInSlicer(f"a module (qSlicerScriptedLoadableModule) has no property {name}")
        self.__dict__[name] = value


class ModuleManager(QObject):
    """qSlicerModuleManager (Base/QTCore/qSlicerModuleManager.h)."""

    moduleLoaded = Signal(str)
    moduleAboutToBeUnloaded = Signal(str)

    def __init__(self):
        super().__init__()
        self._modules = {}

    def module(self, name):
        return self._modules.get(name)

    def modulesNames(self):
        return tuple(self._modules)

    def isModuleLoaded(self, name):
        return name in self._modules

    def loadedModuleNames(self):
        return tuple(self._modules)

    def factoryManager(self):
        return self

    def remember(self, record: ModuleRecord) -> None:
        """(The harness's own.) Also as slicer.modules.<name> and slicer.moduleNames.<Name>."""
        import slicer

        self._modules[record.name] = record
        setattr(slicer.modules, record.name.lower(), record)
        setattr(slicer.moduleNames, record.name, record.name)


def open_module(path):
    """Import the scripted module at `path`, build module object, panel and widget as Slicer does; the widget object."""
    import qt
    import slicer

    from . import module_panel

    path = Path(path).resolve()
    name = path.stem
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    record = ModuleRecord(name, path)
    slicer.app.moduleManager().remember(record)
    setattr(slicer.modules, name + "Instance", getattr(module, name)(record))

    panel = slicer.qSlicerScriptedLoadableModuleWidget()
    panel.setObjectName(name + "ModuleWidget")
    panel.setWindowTitle(record.title)
    panel.setLayout(qt.QVBoxLayout())
    panel.setMRMLScene(slicer.mrmlScene)
    widget = getattr(module, name + "Widget")(panel)
    panel.remember(widget)
    setattr(slicer.modules, name + "Widget", widget)
    record.__dict__["_widget"] = panel
    widget.setup()
    around = module_panel.ModulePanel(panel)
    panel.in_module_panel(around)
    enter_module(widget)
    around.show()
    slicer.app.processEvents()
    slicer.app.moduleManager().moduleLoaded.emit(name)
    return widget


def enter_module(widget) -> None:
    """The user comes (back) to the module."""
    widget.parent.set_entered(True)
    widget.enter()


def leave_module(widget) -> None:
    """The user chooses another module; the panel lives on."""
    widget.exit()
    widget.parent.set_entered(False)


def close_module(widget) -> None:
    """The application ends or the module is reloaded."""
    import slicer

    if widget.parent.isEntered:
        leave_module(widget)
    widget.cleanup()
    widget.parent.window().hide()
    widget.parent.window().deleteLater()
    slicer.app.processEvents()
