"""Parts of the segment editor: its effects, and what makes it as tall as the real one, table, options and undo."""

from __future__ import annotations

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Signal

EFFECT_NAMES = (
    "Threshold",
    "Paint",
    "Draw",
    "Erase",
    "Level tracing",
    "Grow from seeds",
    "Fill between slices",
    "Margin",
)
EFFECT_NAMES += ("Hollow", "Smoothing", "Scissors", "Islands", "Logical operators", "Mask volume")
COLUMNS = ("👁", "◉", "Name", "●")  # visibility, color, name, state
TABLE_HEIGHT = 192  # a QAbstractItemView's own size hint: the .ui's vertical policy is Minimum
HELP = {
    "Paint": "Paint with a round brush. Left-button drag to paint. Shift + mouse wheel or +/- changes the brush size.",
    "Erase": "Erase from current segment with a round brush.",
}


class SegmentsTable(QtWidgets.QTableWidget):
    """qMRMLSegmentsTableView: a row for each segment."""

    rowChosen = Signal(int)

    def __init__(self):
        super().__init__(0, len(COLUMNS))
        self.setHorizontalHeaderLabels(COLUMNS)
        self.setMinimumHeight(TABLE_HEIGHT)
        self.setMaximumHeight(TABLE_HEIGHT)
        self.setTabKeyNavigation(False)
        self.setMinimumWidth(100)
        self.verticalHeader().setVisible(False)
        for column, width in enumerate((28, 28, 130, 28)):
            self.setColumnWidth(column, width)
        self.connect("currentCellChanged(int,int,int,int)", lambda row, *_: self.rowChosen.emit(row))

    def show_segments(self, names, current):
        self.setRowCount(0)
        self.setRowCount(len(names))
        for row, name in enumerate(names):
            self.setItem(row, COLUMNS.index("Name"), QtWidgets.QTableWidgetItem(name))
        self.setCurrentCell(current, 2 if current >= 0 else -1)


class Options(QtWidgets.QGroupBox):
    """OptionsGroupBox: there while an effect is active: its help, size and kind of the brush."""

    def __init__(self):
        super().__init__()
        column = QtWidgets.QVBoxLayout(self)
        self._help = QtWidgets.QLabel()
        self._help.setWordWrap(True)
        self._size = QtWidgets.QSlider(QtCore.Qt.Horizontal)
        units = QtWidgets.QLabel("Diameter 3% of the view, in %  mm  |  1 3 5 10 20")
        column.addWidget(self._help)
        column.addWidget(self._size)
        column.addWidget(units)
        for text in ("Sphere brush", "Edit in 3D views", "Pixel mode"):
            column.addWidget(QtWidgets.QCheckBox(text))
        self.setVisible(False)

    def show_effect(self, name):
        self.setTitle(name)
        self._help.setText(HELP.get(name, name))
        self.setVisible(bool(name))


class Effect:
    """qSlicerSegmentEditorAbstractEffect: its name, and parameters kept in the real editor node."""

    def __init__(self, name: str, editor):
        self.name = name
        self._editor = editor

    def parameter(self, name):
        return self._editor.mrmlSegmentEditorNode().GetAttribute(f"{self.name}.{name}") or ""

    def setParameter(self, name, value):
        self._editor.mrmlSegmentEditorNode().SetAttribute(f"{self.name}.{name}", str(value))


def framed(table):
    """The table in the frame that carries its name in the real editor's .ui."""
    frame = QtWidgets.QFrame()
    frame.setObjectName("SegmentsTableResizableFrame")
    QtWidgets.QVBoxLayout(frame).setContentsMargins(0, 0, 0, 0)
    frame.layout().addWidget(table)
    return frame


def undo_and_redo():
    frame = QtWidgets.QFrame()
    row = QtWidgets.QHBoxLayout(frame)
    for text in ("Undo", "Redo"):
        button = QtWidgets.QToolButton()
        button.setText(text)
        row.addWidget(button)
    return frame
