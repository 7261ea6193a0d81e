"""Stand-ins for the CTK widgets. Only what PythonQt exposes of the C++ classes: properties, slots, signals, invokables."""

import sys
import types

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal, Slot

from .uiloader import stand_in


@stand_in
class ctkCollapsibleButton(QtWidgets.QWidget):
    """A header button over the contents; QWidget::text etc. as on the QAbstractButton it is in C++."""

    contentsCollapsed = Signal(bool)
    toggled = Signal(bool)
    clicked = Signal(bool)

    def __init__(self, *a):
        text = a[0] if a and isinstance(a[0], str) else ""
        super().__init__(*[x for x in a if not isinstance(x, str)])
        self._text, self._collapsed, self._h = text, False, 26
        self.setContentsMargins(0, self._h, 0, 0)

    def _get_text(self):
        return self._text

    def setText(self, t):
        self._text = t
        self.update()

    text = Property(str, _get_text, setText)

    def _get_collapsed(self):
        return self._collapsed

    def setCollapsed(self, c):
        c = bool(c)
        if c == self._collapsed:
            return
        self._collapsed = c
        for w in self.children():
            if isinstance(w, QtWidgets.QWidget):
                w.setVisible(not c)
        self.setMaximumHeight(self._h if c else 16777215)
        self.contentsCollapsed.emit(c)
        self.toggled.emit(not c)
        self.update()

    collapsed = Property(bool, _get_collapsed, setCollapsed)

    def _get_checked(self):
        return not self._collapsed

    def setChecked(self, v):
        self.setCollapsed(not v)

    checked = Property(bool, _get_checked, setChecked)

    def mousePressEvent(self, e):
        if e.position().y() < self._h:
            self.setCollapsed(not self._collapsed)

    def paintEvent(self, e):
        o = QtWidgets.QStyleOptionButton()
        o.initFrom(self)
        o.rect = QtCore.QRect(0, 0, self.width, self._h - 4)
        o.text = ("\u25b8 " if self._collapsed else "\u25be ") + self._text
        p = QtWidgets.QStylePainter(self)
        p.drawControl(QtWidgets.QStyle.CE_PushButton, o)


@stand_in
class ctkSliderWidget(QtWidgets.QWidget):
    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    decimalsChanged = Signal(int)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Horizontal)
        self._spin = QtWidgets.QDoubleSpinBox()
        l = QtWidgets.QHBoxLayout(self)
        l.setContentsMargins(0, 0, 0, 0)
        l.addWidget(self._slider, 1)
        l.addWidget(self._spin)
        self._spin.setRange(0, 99)
        self._slider.setRange(0, 1000)
        self._busy = False
        self._slider.valueChanged.connect(self._from_slider)
        self._spin.valueChanged.connect(self._from_spin)

    def _from_slider(self, i):
        if self._busy:
            return
        lo, hi = self._spin.minimum, self._spin.maximum
        self._spin.setValue(lo + (hi - lo) * i / 1000.0)

    def _from_spin(self, v):
        lo, hi = self._spin.minimum, self._spin.maximum
        self._busy = True
        self._slider.setValue(round(1000 * (v - lo) / ((hi - lo) or 1)))
        self._busy = False
        self.valueChanged.emit(v)

    @Slot(float)
    def setValue(self, v):
        self._spin.setValue(v)

    @Slot(int)
    def setDecimals(self, n):
        self._spin.setDecimals(n)
        self.decimalsChanged.emit(n)

    @Slot()
    def reset(self):
        self._spin.setValue(self._spin.minimum)

    value = Property(float, lambda s: s._spin.value, setValue)
    decimals = Property(int, lambda s: s._spin.decimals, setDecimals)
    minimum = Property(float, lambda s: s._spin.minimum, lambda s, v: s._spin.setMinimum(v))
    maximum = Property(float, lambda s: s._spin.maximum, lambda s, v: s._spin.setMaximum(v))
    singleStep = Property(float, lambda s: s._spin.singleStep, lambda s, v: s._spin.setSingleStep(v))
    pageStep = Property(float, lambda s: s._spin.singleStep * 10, lambda s, v: None)
    suffix = Property(str, lambda s: s._spin.suffix, lambda s, v: s._spin.setSuffix(v))
    prefix = Property(str, lambda s: s._spin.prefix, lambda s, v: s._spin.setPrefix(v))
    tracking = Property(bool, lambda s: s._slider.tracking, lambda s, v: s._slider.setTracking(v))


@stand_in
class ctkPathLineEdit(QtWidgets.QWidget):
    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._edit = QtWidgets.QLineEdit()
        self._btn = QtWidgets.QToolButton()
        self._btn.setText("...")
        l = QtWidgets.QHBoxLayout(self)
        l.setContentsMargins(0, 0, 0, 0)
        l.addWidget(self._edit, 1)
        l.addWidget(self._btn)
        self._edit.textChanged.connect(self.currentPathChanged)
        self._key = ""
        self._filters = []

    @Slot(str)
    def setCurrentPath(self, p):
        self._edit.setText(p)

    @Slot()
    def addCurrentPathToHistory(self):
        pass

    @Slot()
    def retrieveHistory(self):
        pass

    currentPath = Property(str, lambda s: s._edit.text, setCurrentPath)
    settingKey = Property(str, lambda s: s._key, lambda s, v: setattr(s, "_key", v))
    nameFilters = Property("QStringList", lambda s: s._filters, lambda s, v: setattr(s, "_filters", list(v)))
    showBrowseButton = Property(bool, lambda s: not s._btn.isHidden(), lambda s, v: s._btn.setVisible(v))


@stand_in
class ctkDoubleSpinBox(QtWidgets.QDoubleSpinBox):
    pass


@stand_in
class ctkComboBox(QtWidgets.QComboBox):
    pass


class ctkWidgetsUtils:
    grabWidget = staticmethod(lambda w: w.grab().toImage())


def install():
    m = types.ModuleType("ctk")
    for n, v in list(globals().items()):
        if n.startswith("ctk"):
            setattr(m, n, v)
    sys.modules["ctk"] = m
    return m
