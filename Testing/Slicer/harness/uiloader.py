"""QUiLoader that builds the stand-ins, wires <connections> with VTK types, and refuses what a class does not have.

Qt turns a misspelt property of a .ui file into a dynamic one, and only prints a line for a connection that fails."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from PySide6 import QtCore, QtUiTools, QtWidgets

from .errors import NotInSlicer

STAND_INS: dict[str, type] = {}  # C++ class name -> stand-in
MARGINS = ("leftMargin", "topMargin", "rightMargin", "bottomMargin")  # of layouts, read by Qt's form builder
PARAMETER = "SlicerParameterName"  # read by Slicer's parameter node wrapper


def stand_in(declared_in: str):
    """Class decorator: it mirrors properties, slots, signals and invokable methods of the C++ class of the same name;
    `declared_in` is that class's header within Slicer's or CTK's sources."""

    def register(cls):
        cls.stands_for = declared_in
        STAND_INS[cls.__name__] = cls
        return cls

    return register


class QUiLoader(QtCore.QObject):
    def load(self, file: QtCore.QFile, parent=None):
        path = file.fileName()
        root = ET.fromstring(bytes(file.readAll().data()))
        custom = _custom_classes(root, path)
        wires = [
            {key: wire.findtext(key) for key in ("sender", "signal", "receiver", "slot")}
            for wire in root.iter("connection")
        ]
        for section in root.findall("connections"):
            root.remove(section)
        loader = QtUiTools.QUiLoader()
        for name in custom:
            loader.registerCustomWidget(STAND_INS[name])
        buffer = QtCore.QBuffer()
        buffer.setData(ET.tostring(root))
        buffer.open(QtCore.QIODevice.ReadOnly)
        widget = loader.load(buffer, parent)
        if widget is None:
            raise NotInSlicer(f"{path}: {loader.errorString()}")
        by_name = {child.objectName: child for child in widget.findChildren(QtCore.QObject) if child.objectName}
        by_name[widget.objectName] = widget
        for child in by_name.values():
            _refuse_dynamic_properties(child, path)
        for wire in wires:
            by_name[wire["sender"]].connect(wire["signal"], by_name[wire["receiver"]], wire["slot"])
        return widget


def _custom_classes(root: ET.Element, path: str) -> list[str]:
    declared = {custom.findtext("class") for custom in root.iter("customwidget")}
    used = {widget.get("class") for widget in root.iter("widget")}
    unknown = sorted(
        name
        for name in used
        if (name not in STAND_INS and name.startswith(("ctk", "q"))) or name in declared - set(STAND_INS)
    )
    if unknown:
        raise NotInSlicer(f"{path}: no stand-in for {', '.join(unknown)}")
    undeclared = sorted(used & set(STAND_INS) - declared)
    if undeclared:
        raise NotInSlicer(f"{path}: {', '.join(undeclared)} missing in <customwidgets>")
    return sorted(used & declared)


def _refuse_dynamic_properties(widget: QtCore.QObject, path: str) -> None:
    for raw in widget.dynamicPropertyNames():
        name = bytes(raw.data()).decode()
        known = MARGINS if isinstance(widget, QtWidgets.QLayout) else (PARAMETER,)
        if not name.startswith("_") and name not in known:
            raise NotInSlicer(f"{path}: {type(widget).__name__} {widget.objectName} has no property '{name}'")
