"""Slicer's core, brought up once per process."""

from __future__ import annotations

import importlib
import os
import sys
import types

LOGICS = {
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
    "Models": "vtkSlicerModelsLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
}  # Terminologies would need files that the wheel lacks

STAND_IN_MODULES = (
    "ctk_numbers",
    "ctk_widgets",
    "markups_widgets",
    "module_widget",
    "mrml_numbers",
    "mrml_table",
    "mrml_widgets",
    "segment_editor",
    "segment_selection",
)


def start():
    """The `slicer` module with scene, logics, views, slicer.app; `qt`, `ctk` and the rest can then be imported too."""
    if "qt" in sys.modules:
        return sys.modules["slicer"]
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6 import QtCore, QtWidgets

    qt_application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["Slicer"])
    qt_application.setStyle("Fusion")
    from . import dialogs, pythonqt

    dialogs.install(pythonqt.install())
    import slicer

    from .application import qSlicerApplication

    scene, logic = _scene_and_logic(slicer)
    slicer.mrmlScene = scene
    slicer.app = qSlicerApplication(scene, logic, qt_application)
    _add_cache(slicer)
    QtCore.QSettings.setDefaultFormat(QtCore.QSettings.IniFormat)  # qt.QSettings() without a name: a private file too
    QtCore.QSettings.setPath(QtCore.QSettings.IniFormat, QtCore.QSettings.UserScope, slicer.app.temporaryPath)
    _publish_modules(slicer)
    _add_module_logics(slicer, logic)
    _keep_subject_hierarchy(slicer)
    from . import views

    slicer.app._layout = views.LayoutManager(slicer)
    slicer.app._window = QtWidgets.QMainWindow()  # without one, slicer.util shows no messages
    slicer.app._window.objectName = "qSlicerMainWindow"
    for name in slicer.app.layoutManager().sliceViewNames():  # they are there from the start, with their nodes
        slicer.app.layoutManager().sliceWidget(name)
    return slicer


def _scene_and_logic(slicer):
    import vtk

    scene = slicer.vtkMRMLScene()
    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    scene.AddNode(crosshair)
    logic = slicer.vtkSlicerApplicationLogic()
    logic.SetMRMLScene(scene)
    logic.GetColorLogic().SetMRMLScene(scene)
    logic.GetColorLogic().AddDefaultColorNodes()
    scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())  # as the module Colors does
    logic.SetSliceLogics(vtk.vtkCollection())
    logic.SetViewLogics(vtk.vtkCollection())
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    return scene, logic


def _add_cache(slicer) -> None:
    """The scene unpacks .mrb files into the cache of the data manager."""
    os.makedirs(slicer.app.cachePath, exist_ok=True)
    cache = slicer.vtkCacheManager()
    cache.SetRemoteCacheDirectory(slicer.app.cachePath)
    cache.SetMRMLScene(slicer.mrmlScene)
    slicer.mrmlScene.SetCacheManager(cache)
    manager = slicer.vtkDataIOManager()
    manager.SetCacheManager(cache)
    slicer.mrmlScene.SetDataIOManager(manager)


def _publish_modules(slicer) -> None:
    """ctk, slicer.<widgets>, slicer.modules, .i18n, .packaging, .ScriptedLoadableModule, SampleData, PyTorchUtils."""
    for module in STAND_IN_MODULES:
        importlib.import_module(f".{module}", __package__)
    from . import ctk_widgets, packages, sample_data
    from .uiloader import STAND_INS, QUiLoader

    sys.modules["qt"].QUiLoader = QUiLoader
    ctk = types.ModuleType("ctk", "stand-ins of CTK's widgets")
    ctk.ctkWidgetsUtils = ctk_widgets.ctkWidgetsUtils
    for name, cls in STAND_INS.items():
        setattr(ctk if name.startswith("ctk") else slicer, name, cls)
    sys.modules["ctk"] = ctk
    translation = types.ModuleType("slicer.i18n")
    translation.tr = lambda text: text
    translation.translate = lambda context, text: text
    _add(slicer, "i18n", translation)
    _add(slicer, "modules", types.ModuleType("slicer.modules"))
    slicer.moduleNames = types.SimpleNamespace()
    from . import scripted_modules

    _add(slicer, "ScriptedLoadableModule", scripted_modules)
    sys.modules["SampleData"] = sample_data
    packages.install(slicer)


def _add(slicer, name: str, module) -> None:
    setattr(slicer, name, module)
    sys.modules[f"slicer.{name}"] = module


def _add_module_logics(slicer, application_logic) -> None:
    from .modules import ModuleRecord

    logics = {"Colors": application_logic.GetColorLogic()}
    for name, class_name in LOGICS.items():
        logic = getattr(slicer, class_name)()
        logic.SetMRMLApplicationLogic(application_logic)
        logic.SetMRMLScene(slicer.mrmlScene)
        logics[name] = logic
    for name, logic in logics.items():
        application_logic.SetModuleLogic(name, logic)
        slicer.app.moduleManager().remember(ModuleRecord(name, logic=logic))


def _keep_subject_hierarchy(slicer) -> None:
    """In the application a Qt plugin gives every data node its item in the subject hierarchy."""
    from .mrml_widgets import with_node

    scene = slicer.mrmlScene

    def shown(node):
        kinds = ("vtkMRMLDisplayableNode", "vtkMRMLTableNode", "vtkMRMLTextNode")
        return any(node.IsA(kind) for kind in kinds) and not node.GetHideFromEditors()

    def hierarchy():
        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)

    def added(node):
        if shown(node) and not scene.IsImporting() and not hierarchy().GetItemByDataNode(node):
            hierarchy().CreateItem(hierarchy().GetSceneItemID(), node)

    def removed(node):
        item = hierarchy().GetItemByDataNode(node) if hierarchy() else 0
        if item:
            hierarchy().RemoveItem(item, False, False)

    scene.AddObserver(scene.NodeAddedEvent, with_node(added))
    scene.AddObserver(scene.NodeAboutToBeRemovedEvent, with_node(removed))
