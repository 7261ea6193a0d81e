"""Make PySide6 behave like PythonQt and publish it as the module ``qt``.

Rules imitated (read from PythonQt's behaviour, checked by tests/test_pythonqt_rules.py):
  * Q_PROPERTY names are attributes (read and write); the setX() methods stay, the getter method of the same
    name is shadowed; ``name`` is an alias of ``objectName``.
  * writing an unknown attribute on a C++ object raises AttributeError (allowed on Python subclasses).
  * dynamic properties can be read and written as attributes; children can be reached by object name.
  * obj.connect("signal(args)", callable) / obj.connect("signal()", receiver, "slot()"), same for disconnect.
    PythonQt only prints and returns False on an unknown signal; here it raises, so that tests catch it.
"""

import re
import sys
import types

from PySide6 import QtCore, QtGui, QtTest, QtWidgets
from PySide6.QtCore import SIGNAL, QMetaObject, QObject

_VIRTUAL_GETTERS = {"sizeHint", "minimumSizeHint"}  # read by Qt through virtual calls: leave as methods
_orig_connect, _orig_disconnect = QObject.connect, QObject.disconnect
_SIG = re.compile(r"^[0-9]?\s*(\w+)\s*\((.*)\)\s*$")


class PythonQtError(AttributeError):
    """Something real PythonQt would refuse (or silently not do)."""


class _QtProperty(property):
    """A Q_PROPERTY as an attribute of instances; on the class itself the original stays (QTimer.singleShot is also a static method)."""

    def __init__(self, name, original):
        def read(o):
            v = QObject.property(o, name)
            return tuple(v) if isinstance(v, list) else v  # as PythonQt: QStringList and QVariantList come as tuples

        super().__init__(read, self._write)
        self._name, self._original = name, original

    def __get__(self, obj, owner=None):
        return super().__get__(obj, owner) if obj is not None else self._original

    def _write(self, obj, value):
        mo = obj.metaObject()
        p = mo.property(mo.indexOfProperty(self._name))
        if not p.isWritable():
            raise PythonQtError(f"Property '{self._name}' of {mo.className()} object is not writable")
        if not QObject.setProperty(obj, self._name, value):
            raise PythonQtError(
                f"Property '{self._name}' of type '{p.typeName()}' does not accept an object of type {type(value).__name__} ({value!r})"
            )


def _class_attr(cls, name):
    for k in cls.__mro__:
        if name in vars(k):
            return vars(k)[name]


def _all_qobject_classes():
    for mod in (QtCore, QtGui, QtWidgets):
        for v in [getattr(mod, k) for k in dir(mod)]:  # dir(): PySide6 creates its classes lazily
            if isinstance(v, type) and issubclass(v, QObject):
                yield v


def patch_class_properties(cls):
    mo = cls.staticMetaObject
    for i in range(mo.propertyOffset(), mo.propertyCount()):
        n = mo.property(i).name()
        if n not in _VIRTUAL_GETTERS:
            setattr(cls, n, _QtProperty(n, getattr(cls, n, None)))


def _is_cpp(obj):
    t = type(obj)
    return t.__module__.startswith("PySide6") or getattr(t, "_stands_for_cpp", False)


def _strict_setattr(self, name, value):
    attr = _class_attr(type(self), name)
    if isinstance(attr, QtCore.Property):
        if not QObject.setProperty(self, name, list(value) if isinstance(value, tuple) else value):
            raise PythonQtError(f"Property '{name}' does not accept {value!r}")
    elif isinstance(attr, property):
        attr.__set__(self, value)
    elif name.startswith("_") or not _is_cpp(self):
        self.__dict__[name] = value
    else:
        _refuse(self, name, value)


def _refuse(self, name, value):
    if isinstance(value, QObject) and QObject.property(value, "objectName") == name:
        return  # PySide6's QUiLoader pins the children on the root; here they are found by name
    attr = getattr(type(self), name, None)
    if QObject.property(self, name) is not None and bytes(name, "ascii") in [
        bytes(b) for b in self.dynamicPropertyNames()
    ]:
        QObject.setProperty(self, name, value)
        return
    if attr is not None:
        raise PythonQtError(f"'{name}' can not be overwritten on {type(self).__name__} object")
    raise PythonQtError(
        f"'{name}' does not exist on {type(self).__name__} and creating new attributes on C++ objects is not allowed"
    )


_orig_getattribute = QObject.__getattribute__


def _getattribute(self, name):
    if name == "connect" or name == "disconnect":
        return types.MethodType(_connect if name == "connect" else _disconnect, self)
    return _orig_getattribute(self, name)


def _getattr_missing(self, name):
    if not name.startswith("__"):
        v = QObject.property(self, name)
        if v is not None:
            return v
        for c in self.children():
            if QObject.property(c, "objectName") == name:
                return c
    raise AttributeError(f"{type(self).__name__} has no attribute named '{name}'")


def _find_signal(obj, signature):
    m = _SIG.match(signature or "")
    if not m:
        raise PythonQtError(f"not a signal signature: {signature!r} (write 'name(types)')")
    norm = bytes(QMetaObject.normalizedSignature(f"{m[1]}({m[2]})").data()).decode()
    for klass in type(obj).__mro__:  # stand-ins declare their C++ signatures
        py = vars(klass).get("_cpp_signals", {}).get(norm)
        if py:
            return getattr(obj, py), norm
    if obj.metaObject().indexOfSignal(norm) < 0:
        raise PythonQtError(f"QObject::connect() signal '{signature}' does not exist on {obj.metaObject().className()}")
    return None, norm


def _target(args):
    if len(args) == 1 and callable(args[0]):
        return args[0]
    if len(args) >= 2 and isinstance(args[0], QObject):
        m = _SIG.match(args[1])
        f = getattr(args[0], m[1], None) if m else None
        if f is None:
            raise PythonQtError(f"slot {args[1]!r} does not exist on {type(args[0]).__name__}")
        return f
    raise PythonQtError(f"cannot connect to {args!r}")


def _connect(self, signal, *args):
    if isinstance(signal, QObject):  # PySide6's own C code (QTimer.singleShot) uses the static form
        return _orig_connect(signal, *args)
    bound, norm = _find_signal(self, signal)
    t = _target(args)
    if bound is not None:
        bound.connect(t)
    else:
        _orig_connect(self, SIGNAL(norm), t)
    return True


def _disconnect(self, signal=None, *args):
    if signal is None:
        return _orig_disconnect(self)
    if isinstance(signal, QObject):
        return _orig_disconnect(signal, *args)
    bound, norm = _find_signal(self, signal)
    if bound is not None:
        bound.disconnect(_target(args)) if args else bound.disconnect()
        return True
    return (
        _orig_disconnect(self, SIGNAL(norm), _target(args))
        if args
        else _orig_disconnect(self, SIGNAL(norm), None, None)
    )


def install():
    if "qt" in sys.modules:
        return sys.modules["qt"]
    for cls in list(_all_qobject_classes()):
        patch_class_properties(cls)
        if "__setattr__" in vars(cls):
            cls.__setattr__ = _strict_setattr  # most PySide6 classes carry their own slot
    QObject.name = _class_attr(QObject, "objectName")
    QObject.connect, QObject.disconnect = _connect, _disconnect
    QObject.__getattr__ = _getattr_missing
    QObject.__getattribute__ = _getattribute  # PySide6 serves instance.connect from C, past the class attribute
    QObject.className = lambda self: self.metaObject().className()
    QObject.delete = lambda self: self.deleteLater()
    qt = types.ModuleType("qt", "PySide6 in PythonQt's clothes")
    for mod in (QtCore, QtGui, QtWidgets, QtTest):
        for k in dir(mod):
            if k.startswith("Q") or k == "Qt":
                setattr(qt, k, getattr(mod, k))
    from .uiloader import QUiLoader

    qt.QUiLoader = QUiLoader
    qt.Slot, qt.Signal = QtCore.Slot, QtCore.Signal
    sys.modules["qt"] = qt
    return qt
