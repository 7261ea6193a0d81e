"""slicer.app / slicer.modules / slicer.mrmlScene over slicer-core, and opening of scripted modules."""

import importlib.util
import os
import sys
import tempfile
import types

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
_state = {}


class ModuleRecord:
    """What qSlicerScriptedLoadableModule offers to its Python object and to slicer.modules.<name>."""

    def __init__(self, name, path="", logic=None):
        self.name, self.path, self._logic, self.title = name, path, logic, name
        self.icon = None
        self.hidden = False
        self.widget = None

    def logic(self):
        return self._logic

    def widgetRepresentation(self):
        return self.widget

    def __getattr__(self, n):
        raise AttributeError(f"module {self.name} has no {n} in the harness")


class CoreIOManager:
    _READ = {
        "VolumeFile": ("vtkMRMLScalarVolumeNode", "vtkMRMLVolumeArchetypeStorageNode"),
        "SegmentationFile": ("vtkMRMLSegmentationNode", "vtkMRMLSegmentationStorageNode"),
        "MarkupsFile": ("vtkMRMLMarkupsFiducialNode", "vtkMRMLMarkupsFiducialStorageNode"),
        "ModelFile": ("vtkMRMLModelNode", "vtkMRMLModelStorageNode"),
    }

    def fileType(self, f):
        f = str(f).lower()
        return (
            "SegmentationFile"
            if ".seg." in f
            else "MarkupsFile"
            if f.endswith(".mrk.json")
            else "ModelFile"
            if f.endswith((".vtk", ".vtp", ".stl", ".ply", ".obj"))
            else "VolumeFile"
        )

    def loadNodes(self, filetype, properties, loaded, messages=None):
        import slicer

        cls, st = self._READ[filetype]
        if filetype == "VolumeFile" and properties.get("labelmap"):
            cls = "vtkMRMLLabelMapVolumeNode"
        f = os.path.abspath(properties["fileName"])
        if not os.path.exists(f):
            return False
        n = slicer.mrmlScene.AddNewNodeByClass(cls, properties.get("name") or os.path.basename(f).split(".")[0])
        s = slicer.mrmlScene.AddNewNodeByClass(st)
        s.SetFileName(f)
        if not s.ReadData(n):
            slicer.mrmlScene.RemoveNode(n)
            slicer.mrmlScene.RemoveNode(s)
            return False
        n.SetAndObserveStorageNodeID(s.GetID())
        if not n.GetDisplayNode():
            n.CreateDefaultDisplayNodes()
        loaded.AddItem(n)
        if properties.get("show", True) and n.IsA("vtkMRMLVolumeNode"):
            sel = slicer.app.applicationLogic().GetSelectionNode()
            sel.SetActiveVolumeID(n.GetID())
            slicer.app.applicationLogic().PropagateVolumeSelection()
        return True

    def fileWriterFileType(self, node, filename=""):
        return "NodeFile"

    def saveNodes(self, filetype, properties, messages=None):
        import slicer

        scene = slicer.mrmlScene
        f = os.path.abspath(properties["fileName"])
        if filetype == "SceneFile" or f.endswith((".mrml", ".mrb")):
            scene.SetURL(f)
            scene.SetRootDirectory(os.path.dirname(f))
            return bool(scene.WriteToMRB(f) if f.endswith(".mrb") else scene.Commit(f))
        n = scene.GetNodeByID(properties["nodeID"])
        if n.GetStorageNode() is None:
            n.AddDefaultStorageNode(f)
        s = n.GetStorageNode()
        s.SetFileName(f)
        s.SetUseCompression(properties.get("useCompression", 1))
        return bool(s.WriteData(n))


class App:
    def __init__(self, scene, logic, qapp):
        self._scene, self._logic, self._q = scene, logic, qapp
        self._io = CoreIOManager()
        self.temporaryPath = tempfile.mkdtemp(prefix="slicer_harness_")
        self.slicerHome = ""
        self.revision = "0"
        self.applicationVersion = "5.13.0-harness"

    def mrmlScene(self):
        return self._scene

    def applicationLogic(self):
        return self._logic

    def coreIOManager(self):
        return self._io

    ioManager = coreIOManager

    def layoutManager(self):
        return _state.get("layout")

    def processEvents(self, *a):
        self._q.processEvents()

    def pauseRender(self):
        pass

    def resumeRender(self):
        pass

    def setOverrideCursor(self, c):
        self._q.setOverrideCursor(c)

    def restoreOverrideCursor(self):
        self._q.restoreOverrideCursor()

    def translate(self, ctx, text):
        return text

    def settings(self):
        import qt

        return qt.QSettings(os.path.join(self.temporaryPath, "settings.ini"), qt.QSettings.IniFormat)

    userSettings = settings

    def moduleManager(self):
        return _state["moduleManager"]

    def startupEnvironment(self):
        import qt

        return qt.QProcessEnvironment.systemEnvironment()

    def topLevelWidgets(self):
        return self._q.topLevelWidgets()

    def testingEnabled(self):
        return True

    def commandOptions(self):
        return types.SimpleNamespace(testingEnabled=True, noMainWindow=True)

    def connect(self, signal, *args):
        return _state["signals"].connect(signal, *args)

    def disconnect(self, signal, *args):
        return _state["signals"].disconnect(signal, *args)

    def __getattr__(self, n):
        raise AttributeError(f"slicer.app.{n} is not in the harness")


def start(base_classes=None):
    """Bring everything up once; returns the ``slicer`` module. base_classes: module to serve as slicer.ScriptedLoadableModule."""
    if _state:
        return sys.modules["slicer"]
    from PySide6 import QtWidgets

    qapp = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["harness"])
    qapp.setOrganizationName("harness")
    qapp.setStyle("Fusion")
    from . import pythonqt

    qt = pythonqt.install()
    from . import ctk_widgets, mrml_widgets

    ctk_widgets.install()
    import slicer
    import vtk

    mrml_widgets.install(slicer)
    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    cross = slicer.vtkMRMLCrosshairNode()
    cross.SetCrosshairName("default")
    scene.AddNode(cross)
    logic = slicer.vtkSlicerApplicationLogic()
    logic.SetMRMLScene(scene)
    logic.GetColorLogic().SetMRMLScene(scene)
    logic.GetColorLogic().AddDefaultColorNodes()
    logic.SetSliceLogics(vtk.vtkCollection())
    logic.SetViewLogics(vtk.vtkCollection())
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    slicer.app = App(scene, logic, qapp)
    slicer.modules = types.ModuleType("slicer.modules")
    sys.modules["slicer.modules"] = slicer.modules
    slicer.moduleNames = types.SimpleNamespace()
    for name, cls in (
        ("Colors", "vtkMRMLColorLogic"),
        ("Volumes", "vtkSlicerVolumesLogic"),
        ("Segmentations", "vtkSlicerSegmentationsModuleLogic"),
        ("Markups", "vtkSlicerMarkupsLogic"),
        ("VolumeRendering", "vtkSlicerVolumeRenderingLogic"),
        ("Models", "vtkSlicerModelsLogic"),
        ("CropVolume", "vtkSlicerCropVolumeLogic"),
    ):  # Terminologies needs share files the wheel lacks
        l = logic.GetColorLogic() if name == "Colors" else getattr(slicer, cls)()
        if name != "Colors":
            l.SetMRMLApplicationLogic(logic)
            l.SetMRMLScene(scene)
        logic.SetModuleLogic(name, l)
        setattr(slicer.modules, name.lower(), ModuleRecord(name, logic=l))
        setattr(slicer.moduleNames, name, name)
    _keep_subject_hierarchy(slicer, vtk)

    from PySide6.QtCore import Signal

    class ModuleManager(qt.QObject):
        moduleAboutToBeUnloaded = Signal(str)

    class AppSignals(qt.QObject):
        startupCompleted = Signal()
        aboutToQuit = Signal()
        mrmlSceneChanged = Signal(object)
        _cpp_signals = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}

    _state["signals"] = AppSignals()
    _state["moduleManager"] = ModuleManager()
    if base_classes is None:
        from . import scripted_modules as base_classes
    slicer.ScriptedLoadableModule = base_classes
    sys.modules["slicer.ScriptedLoadableModule"] = base_classes
    if "slicer.i18n" not in sys.modules:
        i18n = types.ModuleType("slicer.i18n")
        i18n.tr = lambda t: t
        i18n.translate = lambda c, t: t
        slicer.i18n = sys.modules["slicer.i18n"] = i18n
    from . import views

    _state["layout"] = views.LayoutManager(slicer)
    return slicer


def _keep_subject_hierarchy(slicer, vtk):
    """In Slicer the Qt plugin logic adds every data node to the subject hierarchy; do the same."""
    scene = slicer.mrmlScene

    def handled(n):
        return (
            (n.IsA("vtkMRMLDisplayableNode") and not n.GetHideFromEditors())
            or n.IsA("vtkMRMLTableNode")
            or n.IsA("vtkMRMLTextNode")
        )

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def added(c, e, n):
        sh = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        if handled(n) and not scene.IsImporting() and not sh.GetItemByDataNode(n):
            sh.CreateItem(sh.GetSceneItemID(), n)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def removed(c, e, n):
        sh = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        i = sh.GetItemByDataNode(n) if sh else 0
        if i:
            sh.RemoveItem(i, False, False)

    scene.AddObserver(scene.NodeAddedEvent, added)
    scene.AddObserver(scene.NodeAboutToBeRemovedEvent, removed)


def open_module(path):
    """Import the scripted module at path, build module object, panel and widget as Slicer does; returns the Widget object."""
    import qt
    import slicer

    path = os.path.abspath(path)
    name = os.path.splitext(os.path.basename(path))[0]
    if os.path.dirname(path) not in sys.path:
        sys.path.insert(0, os.path.dirname(path))
    spec = importlib.util.spec_from_file_location(name, path)
    mod = importlib.util.module_from_spec(spec)
    sys.modules[name] = mod
    spec.loader.exec_module(mod)
    rec = ModuleRecord(name, path)
    setattr(slicer.modules, name.lower(), rec)
    setattr(slicer.moduleNames, name, name)
    setattr(slicer.modules, name + "Instance", getattr(mod, name)(rec))
    panel = slicer.qSlicerWidget()
    panel.setObjectName(name + "Panel")
    panel.setWindowTitle(rec.title)
    type(panel).isEntered = False
    panel.setLayout(qt.QVBoxLayout())
    panel.setMRMLScene(slicer.mrmlScene)
    w = getattr(mod, name + "Widget")(panel)
    setattr(slicer.modules, name + "Widget", w)
    rec.widget = panel
    w.setup()
    panel.layout().addStretch(1)
    type(panel).isEntered = True
    w.enter() if hasattr(w, "enter") else None
    panel.show()
    slicer.app.processEvents()
    return w


def close_module(w):
    import slicer

    if hasattr(w, "exit"):
        w.exit()
    w.cleanup()
    w.parent.hide()
    w.parent.deleteLater()
    slicer.app.processEvents()
