"""Stand-ins for CTK's buttons, paths and boxes: what PythonQt shows of the C++ classes, nothing more."""

from __future__ import annotations

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal, Slot

from .dialogs import QFileDialog
from .properties import passed_on, remembered
from .uiloader import stand_in

HEADER_HEIGHT = 26


@stand_in("Libs/Widgets/ctkCollapsibleButton.h")
class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """ctkCollapsibleButton, a QAbstractButton: a header over its contents; checked is the contrary of collapsed."""

    contentsCollapsed = Signal(bool)

    def __init__(self, *arguments):
        super().__init__(*[given for given in arguments if not isinstance(given, str)])
        self._hidden_by_us = []
        for text in arguments:
            if isinstance(text, str):
                self.text = text
        self.checkable = self.checked = True
        self.setContentsMargins(0, HEADER_HEIGHT, 0, 0)
        self.setSizePolicy(QtWidgets.QSizePolicy.Preferred, QtWidgets.QSizePolicy.Preferred)
        self.connect("toggled(bool)", self._on_toggled)

    collapsed = Property(bool, lambda self: not self.checked, lambda self, value: setattr(self, "checked", not value))
    collapsedHeight = remembered(int, 10)
    flat = remembered(bool, False)

    def _on_toggled(self, shown):
        if shown:
            for child in self._hidden_by_us:
                child.show()
            self._hidden_by_us = []
        else:
            for child in self.children():
                self._hide(child)
        self.setMaximumHeight(16777215 if shown else HEADER_HEIGHT)
        self.contentsCollapsed.emit(not shown)

    def _hide(self, child):
        if isinstance(child, QtWidgets.QWidget) and not child.isHidden():
            self._hidden_by_us.append(child)
            child.hide()

    def childEvent(self, event):
        if (
            event.polished() and not self.checked
        ):  # never earlier: a child under construction would be taken for a QWidget
            self._hide(event.child())

    def event(self, event):
        if event.type() == QtCore.QEvent.Polish and not self.checked:  # collapsed in the .ui file, before its contents
            for child in self.children():
                self._hide(child)
        return super().event(event)

    def hitButton(self, position):
        return position.y() < HEADER_HEIGHT

    def sizeHint(self):
        layout = QtWidgets.QWidget.layout(self)
        return layout.sizeHint() if layout and self.checked else QtCore.QSize(60, HEADER_HEIGHT)

    def paintEvent(self, event):
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width, HEADER_HEIGHT - 4)
        option.text = ("▾ " if self.checked else "▸ ") + self.text
        QtWidgets.QStylePainter(self).drawControl(QtWidgets.QStyle.CE_PushButton, option)


@stand_in("Libs/Widgets/ctkCollapsibleGroupBox.h")
class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    """ctkCollapsibleGroupBox: a checkable group box that hides its contents."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.checkable = self.checked = True

    collapsed = Property(bool, lambda self: not self.checked, lambda self, value: setattr(self, "checked", not value))
    collapsedHeight = remembered(int, 14)


@stand_in("Libs/Widgets/ctkPathLineEdit.h")
class ctkPathLineEdit(QtWidgets.QWidget):
    """ctkPathLineEdit: a path to type or to browse for; its history under `settingKey`."""

    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)
    Dirs, Files, Drives, Readable, Writable, Executable = 0x001, 0x002, 0x004, 0x010, 0x020, 0x040

    def __init__(self, parent=None):
        super().__init__(parent)
        self._combo = QtWidgets.QComboBox()
        self._combo.editable = True
        self._button = QtWidgets.QToolButton()
        self._button.text = "..."
        _row(self, self._combo, self._button)
        self.setFocusProxy(self._combo)
        self._combo.connect("editTextChanged(QString)", self.currentPathChanged.emit)
        self._button.connect("clicked(bool)", self.browse)

    @Slot(str)
    def setCurrentPath(self, path):
        self._combo.setEditText(path)

    @Slot()
    def browse(self, *_):
        if self.filters & self.Files:
            path = QFileDialog.getOpenFileName(self, self.label, self.currentPath)
        else:
            path = QFileDialog.getExistingDirectory(self, self.label, self.currentPath)
        if path:
            self.setCurrentPath(path)

    @Slot()
    def addCurrentPathToHistory(self):
        if self.currentPath and self._combo.findText(self.currentPath) < 0:
            self._combo.addItem(self.currentPath)

    @Slot()
    def retrieveHistory(self):
        pass

    def comboBox(self):
        return self._combo

    currentPath = Property(str, lambda self: self._combo.currentText, setCurrentPath)
    label = remembered(str, "")
    settingKey = remembered(str, "")
    filters = remembered(int, 0x007)
    nameFilters = remembered("QStringList", ())
    showBrowseButton = passed_on(bool, "_button", "visible")
    showHistoryButton = remembered(bool, True)


@stand_in("Libs/Widgets/ctkDirectoryButton.h")
class ctkDirectoryButton(QtWidgets.QWidget):
    """ctkDirectoryButton: a button that shows a folder and lets one choose another."""

    directoryChanged = Signal(str)
    directorySelected = Signal(str)

    def __init__(self, *arguments):
        super().__init__(*[given for given in arguments if isinstance(given, QtWidgets.QWidget)])
        self._button = QtWidgets.QPushButton()
        _row(self, self._button)
        self.setFocusProxy(self._button)
        self._button.connect("clicked(bool)", self.browse)
        for directory in arguments:
            if isinstance(directory, str):
                self.directory = directory

    @Slot(result=str)
    def browse(self, *_):
        path = QFileDialog.getExistingDirectory(self, self.caption, self.directory)
        if path:
            self.directory = path
            self.directorySelected.emit(path)
        return path

    def _changed(self):
        self._button.text = self.text or self.directory
        self.directoryChanged.emit(self.directory)

    directory = remembered(str, "", _changed)
    caption = remembered(str, "")
    text = remembered(str, "", lambda self: setattr(self._button, "text", self.text))


@stand_in("Libs/Widgets/ctkComboBox.h")
class ctkComboBox(QtWidgets.QComboBox):
    """ctkComboBox: a QComboBox with a text for "nothing chosen"."""

    returnRelease = Signal()
    defaultText = remembered(str, "", lambda self: self.setPlaceholderText(self.defaultText))
    forceDefault = remembered(bool, False)
    currentUserDataAsString = Property(
        str,
        lambda self: str(self.currentData or ""),
        lambda self, value: self.setCurrentIndex(self.findData(value)),
    )


@stand_in("Libs/Widgets/ctkCheckBox.h")
class ctkCheckBox(QtWidgets.QCheckBox):
    """ctkCheckBox: a QCheckBox with an icon as indicator."""

    indicatorIcon = remembered(QtGui.QIcon, QtGui.QIcon())
    indicatorIconSize = remembered(QtCore.QSize, QtCore.QSize())


class ctkWidgetsUtils:
    """The functions of Libs/Widgets/ctkWidgetsUtils.h that Python has."""

    @staticmethod
    def grabWidget(widget):
        return widget.grab().toImage()


def _row(widget, *parts) -> None:
    layout = QtWidgets.QHBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        layout.addWidget(part)
