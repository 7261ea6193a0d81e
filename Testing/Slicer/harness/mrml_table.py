"""Stand-in for the view of a table node."""

from __future__ import annotations

from typing import ClassVar

import vtk
from PySide6 import QtWidgets
from PySide6.QtCore import Signal
from PySide6.QtGui import QStandardItem, QStandardItemModel

from .mrml_widgets import watch
from .properties import remembered
from .uiloader import stand_in


@stand_in("Libs/MRML/Widgets/qMRMLTableView.h")
class qMRMLTableView(QtWidgets.QTableView):
    """qMRMLTableView: a vtkMRMLTableNode as a table."""

    selectionChanged = Signal()
    mrmlSceneChanged = Signal(object)
    signatures: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene, self._table, self._tags = None, None, []

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    def mrmlTableNode(self):
        return self._table

    def setMRMLTableNode(self, node):
        for tag in self._tags:
            self._table.RemoveObserver(tag)
        self._table = node
        self._tags = watch(self, node, {vtk.vtkCommand.ModifiedEvent: lambda *_: self._fill()}) if node else []
        self._fill()

    def _fill(self):
        table = self._table.GetTable() if self._table else None
        model = QStandardItemModel(self)
        for column in range(table.GetNumberOfColumns() if table else 0):
            values = [self._table.GetCellText(row, column) for row in range(table.GetNumberOfRows())]
            model.appendColumn([QStandardItem(value) for value in values])
            model.setHorizontalHeaderItem(column, QStandardItem(self._table.GetColumnName(column)))
        QtWidgets.QTableView.setModel(self, model)
        self.selectionModel().connect(
            "selectionChanged(QItemSelection,QItemSelection)", lambda *_: self.selectionChanged.emit()
        )

    transposed = remembered(bool, False)
    firstRowLocked = remembered(bool, False)
    firstColumnLocked = remembered(bool, False)
