"""Stand-ins for the widgets of Slicer that show nodes, over the real scene."""

from __future__ import annotations

from typing import ClassVar

import vtk
from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal, Slot

from .properties import remembered
from .uiloader import stand_in


@stand_in("Libs/MRML/Widgets/qMRMLWidget.h")
class qMRMLWidget(QtWidgets.QWidget):
    """qMRMLWidget: a widget that knows the scene."""

    mrmlSceneChanged = Signal(object)
    signatures: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


@stand_in("Base/QTGUI/qSlicerWidget.h")
class qSlicerWidget(QtWidgets.QWidget):
    """qSlicerWidget: like qMRMLWidget, but Python cannot ask it for its scene."""

    mrmlSceneChanged = Signal(object)
    signatures: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._scene = None

    def setMRMLScene(self, scene):
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


def watch(widget, subject, events: dict) -> list:
    """Call {event: function} of a VTK object for as long as the Qt widget lives; the observer tags."""
    tags = [subject.AddObserver(event, function) for event, function in events.items()]
    widget.destroyed.connect(lambda *_: [subject.RemoveObserver(tag) for tag in tags])
    return tags


def with_node(function):
    """The node that an event of the scene carries."""

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def call(caller, event, node):
        function(node)

    return call


@stand_in("Libs/MRML/Widgets/qMRMLNodeComboBox.h")
class qMRMLNodeComboBox(QtWidgets.QWidget):
    """qMRMLNodeComboBox: the scene's nodes of certain types. Without “None” it selects by itself: the first node of a
    scene that it is given, and, if it has no other items, the first node that comes into its empty list."""

    currentNodeChanged = Signal(object)
    _validChanged = Signal(bool)
    nodeActivated = Signal(object)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeAboutToBeRemoved = Signal(object)
    currentNodeIDChanged = Signal(str)
    currentNodeRenamed = Signal(str)
    signatures: ClassVar = {
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
        "currentNodeChanged(bool)": "_validChanged",
        "nodeActivated(vtkMRMLNode*)": "nodeActivated",
        "nodeAdded(vtkMRMLNode*)": "nodeAdded",
        "nodeAddedByUser(vtkMRMLNode*)": "nodeAddedByUser",
        "nodeAboutToBeRemoved(vtkMRMLNode*)": "nodeAboutToBeRemoved",
    }

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene, self._node, self._nodes = None, None, []
        self._tags, self._attributes, self._types = [], [], []
        self._combo = QtWidgets.QComboBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self._combo.setFocusProxy(self)  # as qMRMLNodeComboBox::setComboBox does: Tab passes by
        self._combo.connect("activated(int)", self._on_activated)
        self.enabled = False  # until there is a scene: a forgotten setMRMLScene() shows
        self._rebuild()

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags, self._scene = [], scene
        self.enabled = scene is not None
        if scene:
            events = {
                scene.NodeAddedEvent: with_node(self._on_added),
                scene.NodeAboutToBeRemovedEvent: with_node(self._on_about_to_be_removed),
                scene.NodeRemovedEvent: with_node(self._on_removed),
                scene.EndBatchProcessEvent: lambda *_: self._rebuild(),
            }
            self._tags = watch(self, scene, events)
        self._rebuild()
        if not self.noneEnabled and self._nodes and self._node not in self._nodes:
            self._select(self._nodes[0])

    def _accepts(self, node) -> bool:
        if not any(node.IsA(kind) for kind in self._types):
            return False
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        if not self.showChildNodeTypes and node.GetClassName() not in self._types:
            return False
        if any(node.IsA(kind) for kind in self.hideChildNodeTypes):
            return False
        wanted = [(name, value) for kind, name, value in self._attributes if node.IsA(kind)]
        return all(
            node.GetAttribute(name) is not None and value in (None, node.GetAttribute(name)) for name, value in wanted
        )

    def _on_added(self, node):
        if not self._scene.IsBatchProcessing() and self._accepts(node):
            self._rebuild()
            self.nodeAdded.emit(node)

    def _on_about_to_be_removed(self, node):
        if node in self._nodes:
            self.nodeAboutToBeRemoved.emit(node)

    def _on_removed(self, node):
        if node not in self._nodes:
            return
        self._rebuild()
        if node is self._node:
            self._select(None if self.noneEnabled or not self._nodes else self._nodes[-1])

    def _rebuild(self):
        scene, empty = self._scene, self._combo.count == 0
        nodes = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())] if scene else []
        self._nodes = [node for node in nodes if self._accepts(node)]
        blocked = self._combo.blockSignals(True)
        self._combo.clear()
        if self.noneEnabled:
            self._combo.addItem(self.noneDisplay, None)
        for node in self._nodes:
            self._combo.addItem(node.GetName(), node.GetID())
        if self.addEnabled:
            for kind in self._types:
                self._combo.addItem(f"Create new {_plain(kind)}", "add:" + kind)
        if self.removeEnabled and self._nodes:
            self._combo.addItem("Delete current", "remove:")
        self._show_current()
        self._combo.blockSignals(blocked)
        only_nodes = not (self.noneEnabled or self.addEnabled or self.removeEnabled or self.renameEnabled)
        if empty and self._nodes and only_nodes and self._node is None:
            self._select(self._nodes[0])

    def _show_current(self):
        self._combo.setCurrentIndex(self._combo.findData(self._node.GetID()) if self._node else -1 + self.noneEnabled)

    def _select(self, node):
        changed = node is not self._node
        self._node = node
        blocked = self._combo.blockSignals(True)
        self._show_current()
        self._combo.blockSignals(blocked)
        if changed:
            self.currentNodeChanged.emit(node)
            self._validChanged.emit(node is not None)
            self.currentNodeIDChanged.emit(node.GetID() if node else "")

    def _on_activated(self, index):
        chosen = self._combo.itemData(index)
        if isinstance(chosen, str) and chosen.startswith("add:"):
            self.nodeAddedByUser.emit(self.addNode(chosen.removeprefix("add:")))
        elif chosen == "remove:":
            self.removeCurrentNode()
        else:
            self._select(self._scene.GetNodeByID(chosen) if chosen else None)
        self.nodeActivated.emit(self._node)

    def currentNode(self):
        return self._node

    def nodeCount(self):
        return len(self._nodes)

    def nodeFromIndex(self, index):
        return self._nodes[index]

    def setCurrentNode(self, node):
        if isinstance(node, str):
            node = self._scene.GetNodeByID(node)
        self._select(node if node in self._nodes else None)

    @Slot(str)
    def setCurrentNodeID(self, node_id):
        self.setCurrentNode(self._scene.GetNodeByID(node_id) if node_id and self._scene else None)

    @Slot(int)
    def setCurrentNodeIndex(self, index):
        self._select(self._nodes[index])

    def addNode(self, kind=None):
        kind = kind or self._types[0]
        name = self._scene.GenerateUniqueName(self.baseName or _plain(kind))
        node = self._scene.AddNewNodeByClass(kind, name)
        if hasattr(node, "CreateDefaultDisplayNodes"):
            node.CreateDefaultDisplayNodes()
        if self.selectNodeUponCreation:
            self._select(node)
        return node

    def addAttribute(self, kind, name, value=None):
        self._attributes.append((kind, name, value))
        self._rebuild()

    def removeAttribute(self, kind, name):
        self._attributes = [kept for kept in self._attributes if kept[:2] != (kind, name)]
        self._rebuild()

    def removeCurrentNode(self):
        self._scene.RemoveNode(self._node)

    def _set_types(self, types):
        self._types = list(types)
        self._rebuild()

    nodeTypes = Property("QStringList", lambda self: tuple(self._types), _set_types)
    currentNodeID = Property(str, lambda self: self._node.GetID() if self._node else "", setCurrentNodeID)
    hideChildNodeTypes = remembered("QStringList", (), _rebuild)
    showHidden = remembered(bool, False, _rebuild)
    showChildNodeTypes = remembered(bool, True, _rebuild)
    noneEnabled = remembered(bool, False, _rebuild)
    noneDisplay = remembered(str, "None", _rebuild)
    addEnabled = remembered(bool, True, _rebuild)
    removeEnabled = remembered(bool, True, _rebuild)
    editEnabled = remembered(bool, False)
    renameEnabled = remembered(bool, False)
    baseName = remembered(str, "")
    selectNodeUponCreation = remembered(bool, True)
    interactionNodeSingletonTag = remembered(str, "")


def _plain(kind: str) -> str:
    return kind.replace("vtkMRML", "").replace("Node", "")
