"""Stand-ins for CTK's sliders and ranges: what PythonQt shows of the C++ classes.

Plain C++ setters (setMinimum, setRange) are no slots, so Python does not have them: write `.minimum = 0`."""

from __future__ import annotations

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal, Slot

from .properties import passed_on, remembered
from .uiloader import stand_in

STEPS = 1000  # of the inner, whole-number slider


def _inner(parent, *parts):
    layout = QtWidgets.QHBoxLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        layout.addWidget(part, 1 if isinstance(part, QtWidgets.QSlider) else 0)


@stand_in("Libs/Widgets/ctkDoubleSpinBox.h")
class ctkDoubleSpinBox(QtWidgets.QWidget):
    """ctkDoubleSpinBox: no QDoubleSpinBox in C++ but a widget around one."""

    valueChanged = Signal(float)
    decimalsChanged = Signal(int)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._spin = QtWidgets.QDoubleSpinBox()
        _inner(self, self._spin)
        self.setFocusProxy(self._spin)
        self._spin.connect("valueChanged(double)", self.valueChanged.emit)

    @Slot(float)
    def setValue(self, value):
        self._spin.setValue(value)

    @Slot(int)
    def setDecimals(self, decimals):
        self._spin.setDecimals(decimals)
        self.decimalsChanged.emit(decimals)

    value = Property(float, lambda self: self._spin.value, setValue)
    decimals = Property(int, lambda self: self._spin.decimals, setDecimals)
    minimum = passed_on(float, "_spin", "minimum")
    maximum = passed_on(float, "_spin", "maximum")
    singleStep = passed_on(float, "_spin", "singleStep")
    prefix = passed_on(str, "_spin", "prefix")
    suffix = passed_on(str, "_spin", "suffix")


@stand_in("Libs/Widgets/ctkDoubleSlider.h")
class ctkDoubleSlider(QtWidgets.QWidget):
    """ctkDoubleSlider: a slider of real numbers."""

    valueChanged = Signal(float)
    sliderMoved = Signal(float)
    sliderPressed = Signal()
    sliderReleased = Signal()
    rangeChanged = Signal(float, float)

    def __init__(self, *arguments):
        super().__init__(*[given for given in arguments if isinstance(given, QtWidgets.QWidget)])
        horizontal = QtCore.Qt.Orientation.Horizontal
        chosen = [given for given in arguments if isinstance(given, QtCore.Qt.Orientation)]
        self._slider = QtWidgets.QSlider(*(chosen or [horizontal]))
        self._slider.setRange(0, STEPS)
        self._value, self._busy = 0.0, False
        _inner(self, self._slider)
        self.setFocusProxy(self._slider)
        self._slider.connect("valueChanged(int)", self._on_slider)

    @Slot(float)
    def setValue(self, value):
        value = min(max(value, self.minimum), self.maximum)
        if value != self._value:
            self._value = value
            self._show()
            self.valueChanged.emit(value)

    def _show(self):
        self._busy = True
        self._slider.value = round(STEPS * (self._value - self.minimum) / ((self.maximum - self.minimum) or 1))
        self._busy = False

    def _on_slider(self, position):
        if not self._busy:
            value = self.minimum + (self.maximum - self.minimum) * position / STEPS
            self.setValue(round(value / self.singleStep) * self.singleStep)

    def _range_changed(self):
        self.setValue(self._value)
        self._show()
        self.rangeChanged.emit(self.minimum, self.maximum)

    value = Property(float, lambda self: self._value, setValue)
    minimum = remembered(float, 0.0, _range_changed)
    maximum = remembered(float, 100.0, _range_changed)
    singleStep = remembered(float, 1.0)
    pageStep = remembered(float, 10.0)
    tracking = passed_on(bool, "_slider", "tracking")


@stand_in("Libs/Widgets/ctkSliderWidget.h")
class ctkSliderWidget(QtWidgets.QWidget):
    """ctkSliderWidget: a slider and a spin box that show the same real number."""

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    decimalsChanged = Signal(int)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self._spin = QtWidgets.QDoubleSpinBox()
        _inner(self, self._slider, self._spin)
        self.setFocusProxy(self._spin)
        self._spin.setRange(0, 99)
        self._slider.setRange(0, STEPS)
        self._busy = False
        self._slider.connect("valueChanged(int)", self._on_slider)
        self._spin.connect("valueChanged(double)", self._on_spin_box)

    def _on_slider(self, position):
        if not self._busy:
            low, high = self.minimum, self.maximum
            self._spin.setValue(low + round((high - low) * position / STEPS / self.singleStep) * self.singleStep)

    def _on_spin_box(self, value):
        self._show()
        self.valueChanged.emit(value)

    def _show(self):
        low, high = self.minimum, self.maximum
        self._busy = True
        self._slider.value = round(STEPS * (self.value - low) / ((high - low) or 1))
        self._busy = False

    def _set_limit(name):
        def write(self, value):
            setattr(self._spin, name, value)
            self._show()

        return Property(float, lambda self: getattr(self._spin, name), write)

    @Slot(float)
    def setValue(self, value):
        self._spin.setValue(value)

    @Slot(int)
    def setDecimals(self, decimals):
        self._spin.setDecimals(decimals)
        self.decimalsChanged.emit(decimals)

    @Slot(bool)
    def setSpinBoxVisible(self, visible):
        self._spin.visible = visible

    @Slot()
    def reset(self):
        self._spin.setValue(self.minimum)

    value = Property(float, lambda self: self._spin.value, setValue)
    decimals = Property(int, lambda self: self._spin.decimals, setDecimals)
    minimum, maximum = _set_limit("minimum"), _set_limit("maximum")
    singleStep = passed_on(float, "_spin", "singleStep")
    pageStep = remembered(float, 10.0)
    tickInterval = remembered(float, 0.0)
    prefix = passed_on(str, "_spin", "prefix")
    suffix = passed_on(str, "_spin", "suffix")
    tracking = passed_on(bool, "_slider", "tracking")
    spinBoxVisible = Property(bool, lambda self: not self._spin.isHidden(), setSpinBoxVisible)


@stand_in("Libs/Widgets/ctkRangeWidget.h")
class ctkRangeWidget(QtWidgets.QWidget):
    """ctkRangeWidget: two spin boxes (in C++ with a double slider between) for a lower and an upper value."""

    minimumValueChanged = Signal(float)
    maximumValueChanged = Signal(float)
    minimumValueIsChanging = Signal(float)
    maximumValueIsChanging = Signal(float)
    valuesChanged = Signal(float, float)
    rangeChanged = Signal(float, float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._low, self._high = QtWidgets.QDoubleSpinBox(), QtWidgets.QDoubleSpinBox()
        self._bar = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        _inner(self, self._low, self._bar, self._high)
        self.setFocusProxy(self._low)
        self._low.value, self._high.value = 0.0, 99.0
        self._low.connect("valueChanged(double)", self._on_low)
        self._high.connect("valueChanged(double)", self._on_high)

    def _on_low(self, value):
        self._high.value = max(value, self._high.value)
        self.minimumValueChanged.emit(value)
        self.valuesChanged.emit(value, self.maximumValue)

    def _on_high(self, value):
        self._low.value = min(value, self._low.value)
        self.maximumValueChanged.emit(value)
        self.valuesChanged.emit(self.minimumValue, value)

    def setRange(self, low, high):
        for spin in (self._low, self._high):
            spin.setRange(low, high)
        self.rangeChanged.emit(low, high)

    @Slot(float)
    def setMinimumValue(self, value):
        self._low.value = value

    @Slot(float)
    def setMaximumValue(self, value):
        self._high.value = value

    @Slot(float, float)
    def setValues(self, low, high):
        if low > self.maximumValue:
            self._high.value = high
        self._low.value = low
        self._high.value = high

    @Slot(int)
    def setDecimals(self, decimals):
        for spin in (self._low, self._high):
            spin.setDecimals(decimals)

    @Slot()
    def reset(self):
        self.setValues(self.minimum, self.maximum)

    minimumValue = Property(float, lambda self: self._low.value, setMinimumValue)
    maximumValue = Property(float, lambda self: self._high.value, setMaximumValue)
    minimum = Property(float, lambda self: self._low.minimum, lambda self, v: self.setRange(v, self.maximum))
    maximum = Property(float, lambda self: self._low.maximum, lambda self, v: self.setRange(self.minimum, v))
    decimals = Property(int, lambda self: self._low.decimals, setDecimals)
    singleStep = passed_on(float, "_low", "singleStep")
    prefix = passed_on(str, "_low", "prefix")
    suffix = passed_on(str, "_low", "suffix")
    tracking = remembered(bool, True)
    symmetricMoves = remembered(bool, False)
