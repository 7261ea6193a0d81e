"""Stand-ins for the MRML widgets (qMRMLWidget, qMRMLNodeComboBox, ...) over the real vtkMRMLScene."""

import vtk
from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal, Slot

from .uiloader import stand_in


@stand_in
class qMRMLWidget(QtWidgets.QWidget):
    mrmlSceneChanged = Signal(object)
    _cpp_signals = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}

    def __init__(self, *a):
        super().__init__(*a)
        self._scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


@stand_in
class qSlicerWidget(qMRMLWidget):
    pass


@stand_in
class qMRMLNodeComboBox(QtWidgets.QWidget):
    currentNodeChanged = Signal(object)
    _validChanged = Signal(bool)
    _nodeActivated = Signal(object)
    _nodeAdded = Signal(object)
    _nodeAddedByUser = Signal(object)
    currentNodeIDChanged = Signal(str)
    _cpp_signals = {
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
        "currentNodeChanged(bool)": "_validChanged",
        "nodeActivated(vtkMRMLNode*)": "_nodeActivated",
        "nodeAdded(vtkMRMLNode*)": "_nodeAdded",
        "nodeAddedByUser(vtkMRMLNode*)": "_nodeAddedByUser",
    }

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene, self._tags, self._node, self._attrs, self._flag = None, [], None, [], {}
        self._types, self._base, self._none = [], "", "None"
        self._combo = QtWidgets.QComboBox()
        l = QtWidgets.QHBoxLayout(self)
        l.setContentsMargins(0, 0, 0, 0)
        l.addWidget(self._combo)
        self._combo.activated.connect(self._on_activated)
        self._rebuild()

    # -- scene ---------------------------------------------------------------------------------
    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if not self._tags and scene:
            self.destroyed.connect(self._dropper(scene, self._tags))
        for t in self._tags:
            self._scene.RemoveObserver(t)
        self._tags[:] = []
        self._scene = scene
        if scene:

            @vtk.calldata_type(vtk.VTK_OBJECT)
            def added(c, e, node):
                self._on_added(node)

            @vtk.calldata_type(vtk.VTK_OBJECT)
            def removed(c, e, node):
                self._on_removed(node)

            self._tags[:] = [
                scene.AddObserver(scene.NodeAddedEvent, added),
                scene.AddObserver(scene.NodeRemovedEvent, removed),
                scene.AddObserver(scene.EndBatchProcessEvent, lambda c, e: self._rebuild()),
            ]
        self._rebuild()  # no automatic selection: the module chooses its defaults

    @staticmethod
    def _dropper(scene, tags):
        return lambda *a: [scene.RemoveObserver(t) for t in tags]

    def _accepts(self, n):
        if not any(n.IsA(t) for t in self._types):
            return False
        if n.GetHideFromEditors() and not self.showHidden:
            return False
        if not self.showChildNodeTypes and n.GetClassName() not in self._types:
            return False
        return all(
            n.GetAttribute(a) == v or (v is None and n.GetAttribute(a) is not None)
            for t, a, v in self._attrs
            if n.IsA(t)
        )

    def _on_added(self, n):
        if self._scene.IsBatchProcessing() or not self._accepts(n):
            return
        self._rebuild()
        self._nodeAdded.emit(n)

    def _on_removed(self, n):
        gone = n is self._node
        self._rebuild()
        if gone:
            self._select(None if self.noneEnabled or not self._nodes else self._nodes[-1])

    def _rebuild(self):
        s = self._scene
        all_ = [s.GetNthNode(i) for i in range(s.GetNumberOfNodes())] if s else []
        self._nodes = [n for n in all_ if self._accepts(n)] if self._types else []
        self._combo.blockSignals(True)
        self._combo.clear()
        if self.noneEnabled:
            self._combo.addItem(self._none, None)
        for n in self._nodes:
            self._combo.addItem(n.GetName(), n.GetID())
        if self.addEnabled:
            for t in self._types:
                self._combo.addItem("Create new %s" % t.replace("vtkMRML", "").replace("Node", ""), "add:" + t)
        self._show_current()
        self._combo.blockSignals(False)

    def _show_current(self):
        i = self._combo.findData(self._node.GetID()) if self._node else (0 if self.noneEnabled else -1)
        self._combo.setCurrentIndex(i)

    def _select(self, n):
        if n is self._node:
            self._show_current()
            return
        self._node = n
        self._combo.blockSignals(True)
        self._show_current()
        self._combo.blockSignals(False)
        self.currentNodeChanged.emit(n)
        self._validChanged.emit(n is not None)
        self.currentNodeIDChanged.emit(n.GetID() if n else "")

    def _on_activated(self, i):
        d = self._combo.itemData(i)
        if isinstance(d, str) and d.startswith("add:"):
            n = self.addNode(d[4:])
            self._nodeAddedByUser.emit(n)
        else:
            self._select(self._scene.GetNodeByID(d) if d else None)
        self._nodeActivated.emit(self._node)

    # -- public C++ API ------------------------------------------------------------------------
    def currentNode(self):
        return self._node

    def nodeCount(self):
        return len(self._nodes)

    def nodeFromIndex(self, i):
        return self._nodes[i]

    def setCurrentNode(self, n):
        if isinstance(n, str):
            n = self._scene.GetNodeByID(n)
        if n is not None and n not in self._nodes:
            n = None
        self._select(n)

    @Slot(str)
    def setCurrentNodeID(self, i):
        self.setCurrentNode(self._scene.GetNodeByID(i) if i and self._scene else None)

    @Slot(int)
    def setCurrentNodeIndex(self, i):
        self._select(self._nodes[i])

    def addNode(self, t=None):
        t = t or self._types[0]
        n = self._scene.AddNewNodeByClass(
            t, self._scene.GenerateUniqueName(self._base or t.replace("vtkMRML", "").replace("Node", ""))
        )
        if hasattr(n, "CreateDefaultDisplayNodes"):
            n.CreateDefaultDisplayNodes()
        self._select(n)
        return n

    def addAttribute(self, t, a, v=None):
        self._attrs.append((t, a, v))
        self._rebuild()

    def removeAttribute(self, t, a):
        self._attrs = [x for x in self._attrs if x[:2] != (t, a)]
        self._rebuild()

    def removeCurrentNode(self):
        self._scene.RemoveNode(self._node)

    def _boolprop(key, default):
        def set_(s, v):
            s._flag[key] = bool(v)
            s._rebuild()

        return Property(bool, lambda s: s._flag.get(key, default), set_)

    def setNodeTypes(self, v):
        self._types = list(v)
        self._rebuild()

    nodeTypes = Property(
        "QStringList", lambda s: tuple(s._types), setNodeTypes
    )  # PythonQt turns a QStringList into a tuple
    currentNodeID = Property(str, lambda s: s._node.GetID() if s._node else "", setCurrentNodeID)
    noneEnabled = _boolprop("none", False)
    addEnabled = _boolprop("add", True)
    removeEnabled = _boolprop("rm", True)
    editEnabled = _boolprop("edit", False)
    renameEnabled = _boolprop("rename", False)
    showHidden = _boolprop("hid", False)
    showChildNodeTypes = _boolprop("child", True)
    selectNodeUponCreation = _boolprop("sel", True)
    baseName = Property(str, lambda s: s._base, lambda s, v: setattr(s, "_base", v))
    noneDisplay = Property(str, lambda s: s._none, lambda s, v: (setattr(s, "_none", v), s._rebuild()) and None)


def install(slicer):
    for n, v in list(globals().items()):
        if n.startswith(("qMRML", "qSlicer")):
            setattr(slicer, n, v)
