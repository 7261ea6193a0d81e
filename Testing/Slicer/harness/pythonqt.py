"""PySide6 made to follow PythonQt's rules and published as the module `qt`.

Rules (PythonQt's src/PythonQtInstanceWrapper.cpp and PythonQtConversion.cpp, checked by test_pythonqt_rules.py):

- Q_PROPERTYs are attributes, read and written; setX() stays, the getter method of the same name is gone; `name` is
  `objectName`.
- Writing an unknown attribute, a slot, a signal or a read-only property of a C++ object raises AttributeError. Python
  subclasses may have attributes of their own.
- Lists come back as tuples; numbers become the property's type (an int is rounded down, an enumeration is its number);
  None is no property value.
- Dynamic properties are attributes, children are found by their object name.
- `obj.connect("signal(types)", callable)` and `obj.connect("signal()", receiver, "slot()")`: see connections.py.
"""

from __future__ import annotations

import functools
import math
import sys
import types
from enum import Enum
from typing import NamedTuple

from PySide6 import QtCore, QtGui, QtTest, QtWidgets
from PySide6.QtCore import QObject

from . import connections
from .errors import NotInSlicer

_METHODS_FOR_QT_ITSELF = {"sizeHint", "minimumSizeHint"}  # called by Qt as virtual methods
_RETURN_LISTS = (
    "actions children dynamicPropertyNames findChildren selectedFiles selectedIndexes selectedItems selectedRanges "
    "selectedRows sizes findItems"
).split()


class Declared(NamedTuple):
    """Names of all properties of a Qt class, signatures of its signals and of all its methods, inherited ones too."""

    properties: frozenset[str]
    signals: frozenset[str]
    methods: frozenset[str]


DECLARED: dict[str, Declared] = {}  # read once: PySide6 takes a staticMetaObject away with the first object that dies


def install() -> types.ModuleType:
    """Patch PySide6's classes once; the module `qt`, also to be had by `import qt`."""
    if "qt" in sys.modules:
        return sys.modules["qt"]
    for qt_class in list(_object_classes()):
        DECLARED[qt_class.__name__] = _declared(qt_class.staticMetaObject)
        _properties_as_attributes(qt_class)
        if "__setattr__" in vars(qt_class):  # most of PySide6's classes carry their own
            qt_class.__setattr__ = _set_attribute
    QObject.name = _class_attribute(QObject, "objectName")
    QObject.__getattr__ = _get_missing_attribute
    QObject.className = lambda self: self.metaObject().className()
    QObject.delete = lambda self: self.deleteLater()
    connections.install()
    qt = types.ModuleType("qt", "PySide6 in PythonQt's clothes")
    for module in (QtCore, QtGui, QtWidgets, QtTest):
        for name in dir(module):
            if name.startswith("Q"):
                setattr(qt, name, getattr(module, name))
    qt.Slot, qt.Signal = QtCore.Slot, QtCore.Signal
    sys.modules["qt"] = qt
    return qt


def _object_classes():
    for module in (QtCore, QtGui, QtWidgets):
        for name in dir(module):  # not vars(): PySide6 makes its classes when first asked for
            value = getattr(module, name)
            if isinstance(value, type) and issubclass(value, QObject):
                yield value


def _declared(meta: QtCore.QMetaObject) -> Declared:
    methods = [meta.method(index) for index in range(meta.methodCount())]
    signals = [method for method in methods if method.methodType() == QtCore.QMetaMethod.Signal]
    return Declared(
        frozenset(meta.property(index).name() for index in range(meta.propertyCount())),
        frozenset(bytes(signal.methodSignature().data()).decode() for signal in signals),
        frozenset(bytes(method.methodSignature().data()).decode() for method in methods),
    )


def _properties_as_attributes(qt_class) -> None:
    meta = qt_class.staticMetaObject
    for index in range(meta.propertyOffset(), meta.propertyCount()):
        name = meta.property(index).name()
        if name not in _METHODS_FOR_QT_ITSELF:
            setattr(qt_class, name, QtAttribute(name, getattr(qt_class, name, None)))
    for name in _RETURN_LISTS:
        if name in vars(qt_class):
            setattr(qt_class, name, _returning_tuple(getattr(qt_class, name)))


def _returning_tuple(method):
    @functools.wraps(method)
    def call(*args, **keywords):
        result = method(*args, **keywords)
        return tuple(result) if isinstance(result, list) else result

    return call


class QtAttribute(property):
    """A Q_PROPERTY of instances; of the class it is what stood there (QTimer.singleShot is also a static method)."""

    def __init__(self, name: str, original):
        def read(instance):
            value = QObject.property(instance, name)
            return tuple(value) if isinstance(value, list) else value

        super().__init__(read, lambda instance, value: write_property(instance, name, value))
        self._original = original

    def __get__(self, instance, owner=None):
        return super().__get__(instance, owner) if instance is not None else self._original


def write_property(instance: QObject, name: str, value) -> None:
    """NotInSlicer (an AttributeError) where PythonQt refuses: read-only, or a value that does not convert."""
    meta = instance.metaObject()
    declared = meta.property(meta.indexOfProperty(name))
    if not declared.isWritable():
        raise NotInSlicer(f"Property '{name}' of {meta.className()} object is not writable")
    wanted = declared.typeName()
    try:
        converted = int(getattr(value, "value", value)) if declared.isEnumType() else converted_to(wanted, value)
    except (TypeError, ValueError):
        converted = None
    if converted is None or not QObject.setProperty(instance, name, converted):
        raise NotInSlicer(
            f"Property '{name}' of type '{wanted}' of {meta.className()} does not accept "
            f"an object of type {type(value).__name__} ({value!r})"
        )


def converted_to(type_name: str, value):
    """`value` as PythonQt turns it into the C++ type; TypeError or ValueError where it cannot.

    Stricter in one thing: PythonQt writes str(value) into a QString, also "None" and "[1, 2]"; nobody wants that."""
    if value is None:
        raise TypeError("None is no property value")
    if type_name in ("int", "uint", "qlonglong", "qulonglong"):
        if isinstance(value, str):
            raise TypeError("text is no number")
        return math.floor(value.value if isinstance(value, Enum) else value)
    if type_name in ("double", "float"):
        if isinstance(value, str):
            raise TypeError("text is no number")
        return float(value)
    if type_name == "bool":
        return bool(value)
    if type_name == "QString":
        if isinstance(value, (list, tuple, dict, set)):
            raise TypeError("a container is no text")
        return str(value)
    if type_name == "QStringList":
        return [value] if isinstance(value, str) else [str(item) for item in value]
    return list(value) if isinstance(value, tuple) else value


def _class_attribute(cls, name: str):
    for parent in cls.__mro__:
        if name in vars(parent):
            return vars(parent)[name]
    return None


def _is_cpp(instance) -> bool:
    cls = type(instance)
    return cls.__module__.startswith("PySide6") or "stands_for" in vars(cls)


def _set_attribute(self, name: str, value) -> None:
    attribute = _class_attribute(type(self), name)
    if isinstance(attribute, QtCore.Property):
        write_property(self, name, value)
    elif isinstance(attribute, property):
        attribute.__set__(self, value)
    elif not _is_cpp(self) or _is_own_state(self, name):
        self.__dict__[name] = value
    elif name.encode() in [bytes(known) for known in self.dynamicPropertyNames()]:
        QObject.setProperty(self, name, value)
    elif isinstance(value, QObject) and QObject.property(value, "objectName") == name:
        pass  # PySide6's QUiLoader pins the children on the root; here they are found by name
    elif attribute is not None:
        raise NotInSlicer(f"'{name}' can not be overwritten on {type(self).__name__} object")
    else:
        raise NotInSlicer(
            f"'{name}' does not exist on {type(self).__name__} "
            "and creating new attributes on C++ objects is not allowed"
        )


def _is_own_state(instance, name: str) -> bool:
    """The private attributes that a stand-in's own code keeps; a panel must not add any."""
    if not name.startswith("_") or "stands_for" not in vars(type(instance)):
        return False
    return sys._getframe(2).f_globals["__name__"].startswith("harness")


def _get_missing_attribute(self, name: str):
    if not name.startswith("__"):
        value = QObject.property(self, name)
        if value is not None:
            return value
        for child in QObject.children(self):
            if QObject.property(child, "objectName") == name:
                return child
    raise NotInSlicer(f"{type(self).__name__} has no attribute named '{name}'")
