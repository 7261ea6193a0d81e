"""Stand-ins for the choice of segments and for their 3D button, over the real segmentation node."""

from __future__ import annotations

from typing import ClassVar

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Signal, Slot

from .mrml_widgets import qMRMLNodeComboBox, qMRMLWidget, watch
from .properties import passed_on, remembered
from .uiloader import stand_in


@stand_in("Libs/MRML/Widgets/qMRMLSegmentSelectorWidget.h")
class qMRMLSegmentSelectorWidget(qMRMLWidget):
    """qMRMLSegmentSelectorWidget: a segmentation and one (or several) of its segments."""

    currentNodeChanged = Signal(object)
    _validChanged = Signal(bool)
    currentSegmentChanged = Signal(str)
    segmentSelectionChanged = Signal("QStringList")
    signatures: ClassVar = {
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
        "currentNodeChanged(bool)": "_validChanged",
    }

    def __init__(self, parent=None):
        super().__init__(parent)
        self._nodes, self._combo = qMRMLNodeComboBox(), QtWidgets.QComboBox()
        self._list = QtWidgets.QListWidget()
        self._nodes.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._nodes.addEnabled = self._nodes.removeEnabled = False
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self._nodes, self._combo, self._list):
            layout.addWidget(part)
        self.setFocusProxy(self._combo)
        self._list.visible = False
        self._list.setMaximumHeight(120)
        self._observed, self._tags, self._shown = None, [], ""
        self._nodes.connect("currentNodeChanged(vtkMRMLNode*)", self._on_node)
        self._combo.connect("currentIndexChanged(int)", lambda *_: self._on_segment())
        self._list.connect(
            "itemChanged(QListWidgetItem*)",
            lambda *_: self.segmentSelectionChanged.emit(list(self.selectedSegmentIDs())),
        )

    def setMRMLScene(self, scene):
        super().setMRMLScene(scene)
        self._nodes.setMRMLScene(scene)

    def _on_node(self, node):
        for tag in self._tags:
            self._observed.RemoveObserver(tag)
        self._tags = []
        self._observed = node.GetSegmentation() if node else None
        if self._observed is not None:
            for event in (self._observed.SegmentAdded, self._observed.SegmentRemoved, self._observed.SegmentModified):
                self._tags += watch(self, self._observed, {event: lambda *_: self._fill()})
        self._fill()
        self.currentNodeChanged.emit(node)
        self._validChanged.emit(node is not None)

    def _fill(self):
        current, chosen = self.currentSegmentID(), self.selectedSegmentIDs()
        for part in (self._combo, self._list):
            part.blockSignals(True)
            part.clear()
        if self.noneEnabled:
            self._combo.addItem("None", "")
        for segment_id in self.segmentIDs():
            name = self._observed.GetSegment(segment_id).GetName()
            self._combo.addItem(name, segment_id)
            item = QtWidgets.QListWidgetItem(name, self._list)
            item.setData(QtCore.Qt.UserRole, segment_id)
            item.setCheckState(QtCore.Qt.Checked if segment_id in chosen else QtCore.Qt.Unchecked)
        self._combo.setCurrentIndex(max(self._combo.findData(current), 0 if self._combo.count else -1))
        for part in (self._combo, self._list):
            part.blockSignals(False)
        self._on_segment()

    def _on_segment(self):
        if self.currentSegmentID() != self._shown:
            self._shown = self.currentSegmentID()
            self.currentSegmentChanged.emit(self._shown)

    def currentNode(self):
        return self._nodes.currentNode()

    def currentNodeID(self):
        return self._nodes.currentNodeID

    def currentSegmentID(self):
        return self._combo.currentData or ""

    def segmentIDs(self):
        return tuple(self._observed.GetSegmentIDs()) if self._observed is not None else ()

    def selectedSegmentIDs(self):
        items = [self._list.item(row) for row in range(self._list.count)]
        return tuple(item.data(QtCore.Qt.UserRole) for item in items if item.checkState() == QtCore.Qt.Checked)

    def setCurrentNode(self, node):
        self._nodes.setCurrentNode(node)

    @Slot(str)
    def setCurrentNodeID(self, node_id):
        self._nodes.setCurrentNodeID(node_id)

    @Slot(str)
    def setCurrentSegmentID(self, segment_id):
        self._combo.setCurrentIndex(self._combo.findData(segment_id))

    @Slot("QStringList")
    def setSelectedSegmentIDs(self, segment_ids):
        for row in range(self._list.count):
            item = self._list.item(row)
            chosen = item.data(QtCore.Qt.UserRole) in segment_ids
            item.setCheckState(QtCore.Qt.Checked if chosen else QtCore.Qt.Unchecked)

    def _show_list(self):
        self._list.visible, self._combo.visible = self.multiSelection, not self.multiSelection

    noneEnabled = remembered(bool, False, _fill)
    editEnabled = remembered(bool, False)
    multiSelection = remembered(bool, False, _show_list)
    horizontalLayout = remembered(bool, False)
    segmentationNodeSelectorVisible = passed_on(bool, "_nodes", "visible")
    selectNodeUponCreation = passed_on(bool, "_nodes", "selectNodeUponCreation")


@stand_in("Modules/Loadable/Segmentations/Widgets/qMRMLSegmentationShow3DButton.h")
class qMRMLSegmentationShow3DButton(QtWidgets.QPushButton):
    """qMRMLSegmentationShow3DButton: makes and shows the closed surface."""

    def __init__(self, parent=None):
        super().__init__("Show 3D", parent)
        self._node = None
        self.checkable = True
        self.connect("toggled(bool)", self._on_toggled)

    def segmentationNode(self):
        return self._node

    def setSegmentationNode(self, node):
        self._node = node
        self.enabled = node is not None

    def _on_toggled(self, shown):
        if shown:
            self._node.CreateClosedSurfaceRepresentation()
        elif self._node:
            self._node.RemoveClosedSurfaceRepresentation()
