"""Slicer's module panel about a module's widget: a scroll area whose content is never lower than it needs to be, with
the help section above. What is below its lower edge has to be scrolled to.
"""

from __future__ import annotations

from PySide6 import QtCore, QtWidgets

# of a window of 1366 × 768: what title, menus, toolbars, the module selector and the status bar leave; as wide as
# Slicer makes it at first
SIZE_ON_A_LAPTOP = QtCore.QSize(500, 620)
HELP_HEIGHT = 28


class ModulePanel(QtWidgets.QScrollArea):
    """What `qSlicerModulePanel::addModule` and its .ui do: no margins about the module, stretch 1 for it."""

    def __init__(self, widget):
        super().__init__()
        self.setFocusPolicy(QtCore.Qt.NoFocus)
        self.setWindowTitle(widget.windowTitle)
        self.setFrameShape(QtWidgets.QFrame.NoFrame)
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarAlwaysOff)
        self.setWidgetResizable(True)
        content, policy = QtWidgets.QWidget(), QtWidgets.QSizePolicy
        column = QtWidgets.QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSizeConstraint(QtWidgets.QLayout.SetMinAndMaxSize)
        self._help = QtWidgets.QPushButton("▸ Help && Acknowledgement")
        self._help.setFocusPolicy(QtCore.Qt.NoFocus)
        self._help.setFixedHeight(HELP_HEIGHT)
        column.addWidget(self._help)
        widget.layout().setContentsMargins(0, 0, 0, 0)
        column.addItem(QtWidgets.QSpacerItem(0, 0, policy.Minimum, policy.MinimumExpanding))
        column.insertWidget(1, widget, 1)
        widget.setSizePolicy(policy.Minimum, widget.sizePolicy.verticalPolicy())
        self.setWidget(content)
        self.resize(SIZE_ON_A_LAPTOP)


def in_sight(widget) -> bool:
    """Whether the whole of a widget is within every scroll area about it, as they are scrolled now."""
    outer = widget.parentWidget()
    while outer is not None and widget.isVisible():
        if isinstance(outer, QtWidgets.QScrollArea):
            place = QtCore.QRect(widget.mapTo(outer, QtCore.QPoint(0, 0)), widget.size)
            if not outer.viewport().geometry.contains(place):
                return False
        outer = outer.parentWidget()
    return widget.isVisible()
