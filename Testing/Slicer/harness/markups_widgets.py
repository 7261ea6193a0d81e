"""Stand-ins for the Markups module's widgets, over the real markups, interaction and selection nodes."""

from __future__ import annotations

from PySide6 import QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

from .errors import NotInSlicer
from .mrml_widgets import qSlicerWidget, watch
from .properties import remembered
from .uiloader import stand_in


@stand_in("Modules/Loadable/Markups/Widgets/qSlicerMarkupsPlaceWidget.h")
class qSlicerMarkupsPlaceWidget(qSlicerWidget):
    """qSlicerMarkupsPlaceWidget: its button makes the real interaction node place points of the current node."""

    activeMarkupsPlaceModeChanged = Signal(bool)
    activeMarkupsFiducialPlaceModeChanged = Signal(bool)
    ShowPlaceMultipleMarkupsOption, HidePlaceMultipleMarkupsOption = 0, 1
    ForcePlaceSingleMarkup, ForcePlaceMultipleMarkups = 2, 3

    def __init__(self, parent=None):
        super().__init__(parent)
        self._node, self._was_placing = None, False
        self._place, self._delete = QtWidgets.QToolButton(), QtWidgets.QToolButton()
        self._place.text, self._delete.text = "Place", "Delete"
        self._place.checkable = True
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._place)
        layout.addWidget(self._delete)
        self._place.connect("clicked(bool)", self.setPlaceModeEnabled)
        self._delete.connect("clicked(bool)", lambda *_: self.deleteAllPoints())
        self._show()

    def setMRMLScene(self, scene):
        super().setMRMLScene(scene)
        if scene:
            node = self.interactionNode()
            watch(self, node, {node.InteractionModeChangedEvent: lambda *_: self._show()})

    def interactionNode(self):
        import slicer

        return slicer.app.applicationLogic().GetInteractionNode()

    def selectionNode(self):
        import slicer

        return slicer.app.applicationLogic().GetSelectionNode()

    def currentNode(self):
        return self._node

    currentMarkupsNode = currentNode

    def setCurrentNode(self, node):
        self._node = node
        self._show()

    def placeButton(self):
        return self._place

    def deleteButton(self):
        return self._delete

    def setPlaceModeEnabled(self, enabled):
        if self._scene is None or self._node is None:
            if enabled:
                raise NotInSlicer(
                    "qSlicerMarkupsPlaceWidget: place mode needs setMRMLScene() and setCurrentNode() first"
                )
            return
        node = self.interactionNode()
        if enabled:
            selection = self.selectionNode()
            selection.SetReferenceActivePlaceNodeClassName(self._node.GetClassName())
            selection.SetActivePlaceNodeID(self._node.GetID())
            if self.placeMultipleMarkups in (self.ForcePlaceSingleMarkup, self.ForcePlaceMultipleMarkups):
                self.setPlaceModePersistency(self.placeMultipleMarkups == self.ForcePlaceMultipleMarkups)
            node.SetCurrentInteractionMode(node.Place)
        else:
            node.SetCurrentInteractionMode(node.ViewTransform)

    def setPlaceModePersistency(self, persistent):
        self.interactionNode().SetPlaceModePersistence(int(persistent))

    def deleteLastPoint(self):
        if self._node and self._node.GetNumberOfControlPoints():
            self._node.RemoveNthControlPoint(self._node.GetNumberOfControlPoints() - 1)

    def deleteAllPoints(self):
        if self._node:
            self._node.RemoveAllControlPoints()

    def _placing(self):
        if self._scene is None or self._node is None:
            return False
        node = self.interactionNode()
        active = self.selectionNode().GetActivePlaceNodeID() == self._node.GetID()
        return active and node.GetCurrentInteractionMode() == node.Place

    def _show(self):
        placing = self._placing()
        self.enabled = self._scene is not None and self._node is not None
        self._place.checked = placing
        if placing != self._was_placing:
            self._was_placing = placing
            self.activeMarkupsPlaceModeChanged.emit(placing)
            self.activeMarkupsFiducialPlaceModeChanged.emit(placing)

    placeModeEnabled = Property(bool, _placing, setPlaceModeEnabled)
    placeModePersistency = Property(
        bool, lambda self: bool(self.interactionNode().GetPlaceModePersistence()), setPlaceModePersistency
    )
    placeMultipleMarkups = remembered(int, 0)
    buttonsVisible = Property(
        bool,
        lambda self: not self._place.isHidden(),
        lambda self, value: [button.setVisible(value) for button in (self._place, self._delete)],
    )
    deleteAllControlPointsOptionVisible = remembered(bool, True)
    unsetLastControlPointOptionVisible = remembered(bool, False)
    unsetAllControlPointsOptionVisible = remembered(bool, False)
    nodeColor = remembered(QtGui.QColor, QtGui.QColor())
    defaultNodeColor = remembered(QtGui.QColor, QtGui.QColor())
