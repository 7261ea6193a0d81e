"""connect() and disconnect() as PythonQt has them: by the signal's C++ signature.

PythonQt only prints a line when a signal or slot does not exist; here it raises, so that a test sees it.
A connected callable lives as long as its sender's C++ object, and with it all that it knows: PythonQtSignalReceiver
holds a reference that Python's collector does not see. PySide6 holds bound methods weakly; `kept` does it here.

A stand-in lists the C++ signatures of signals that carry VTK objects in `signatures`: {"name(vtkMRMLNode*)": "name"}.
"""

from __future__ import annotations

import functools
import re
import types

import shiboken6
from PySide6.QtCore import SIGNAL, QMetaObject, QObject

from .errors import NotInSlicer

_SIGNATURE = re.compile(r"^[0-9]?\s*(\w+)\s*\((.*)\)\s*$")
kept: dict[int, list] = {}  # what is connected, by the address of the sender's C++ object
_qt_connect, _qt_disconnect = QObject.connect, QObject.disconnect
_get_attribute = QObject.__getattribute__


def install() -> None:
    QObject.connect, QObject.disconnect = connect, disconnect
    QObject.__getattribute__ = _with_our_connect


def _with_our_connect(self, name: str):
    """PySide6 serves instance.connect from C, past the attribute of the class."""
    if name in ("connect", "disconnect"):
        return types.MethodType(connect if name == "connect" else disconnect, self)
    return _get_attribute(self, name)


def connect(self, signal, *target) -> bool:
    if isinstance(signal, QObject):  # PySide6's own code (QTimer.singleShot) uses the static form
        return _qt_connect(signal, *target)
    bound, normalized = find_signal(self, signal)
    function = _callable(target)
    _keep(self, function)
    if bound is not None:
        bound.connect(function)
    else:
        _qt_connect(self, SIGNAL(normalized), function)
    return True


def _keep(sender: QObject, function) -> None:
    address = shiboken6.getCppPointer(sender)[0]
    if address not in kept:
        kept[address] = []
        _qt_connect(sender, SIGNAL("destroyed()"), functools.partial(kept.pop, address, None))
    kept[address].append(function)


def _let_go(sender: QObject, function) -> None:
    """PythonQt compares callables by equality too."""
    functions = kept.get(shiboken6.getCppPointer(sender)[0], [])
    if function in functions:
        functions.remove(function)


def disconnect(self, signal=None, *target) -> bool:
    if signal is None:
        return _qt_disconnect(self)
    if isinstance(signal, QObject):
        return _qt_disconnect(signal, *target)
    bound, normalized = find_signal(self, signal)
    if target:
        _let_go(self, _callable(target))
    if bound is not None:
        bound.disconnect(*([_callable(target)] if target else []))
        return True
    return _qt_disconnect(self, SIGNAL(normalized), *([_callable(target)] if target else [None, None]))


def find_signal(instance: QObject, signature: str):
    """(bound signal of a stand-in or None, normalized signature); NotInSlicer when there is no such signal."""
    match = _SIGNATURE.match(signature or "")
    class_name = type(instance).__name__
    if not match:
        raise NotInSlicer(f"{class_name}: not a signal's signature: {signature!r} (write 'name(types)')")
    normalized = normalize(f"{match[1]}({match[2]})")
    for cls in type(instance).__mro__:
        name = vars(cls).get("signatures", {}).get(normalized)
        if name:
            return getattr(instance, name), normalized
    if instance.metaObject().indexOfSignal(normalized) < 0 or match[1].startswith("_"):
        raise NotInSlicer(f"QObject::connect() signal '{signature}' does not exist on {class_name}")
    return None, normalized


def normalize(signature: str) -> str:
    return bytes(QMetaObject.normalizedSignature(signature).data()).decode()


def _callable(target):
    if len(target) == 1 and callable(target[0]):
        return target[0]
    if len(target) < 2 or not isinstance(target[0], QObject):
        raise NotInSlicer(f"cannot connect to {target!r}: it is neither callable nor an object and its slot")
    receiver, signature = target[:2]
    match = _SIGNATURE.match(signature)
    method = _slot(receiver, match[1], normalize(f"{match[1]}({match[2]})")) if match else None
    if method is None:
        raise NotInSlicer(f"slot {signature!r} does not exist on {type(receiver).__name__}")
    return method


def _slot(receiver: QObject, name: str, normalized: str):
    declared_in_qt = receiver.metaObject().indexOfMethod(normalized) >= 0
    stand_in = any("stands_for" in vars(cls) and name in vars(cls) for cls in type(receiver).__mro__)
    return getattr(receiver, name, None) if declared_in_qt or (stand_in and not name.startswith("_")) else None
