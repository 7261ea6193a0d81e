"""QUiLoader that builds stand-ins for the CTK/MRML widgets and wires <connections> with VTK-typed signatures itself."""

import xml.etree.ElementTree as ET

from PySide6 import QtCore, QtUiTools

REGISTRY = {}  # C++ class name -> Python stand-in
REPORT = []  # (ui file, widget, property) set in a .ui but not known to the stand-in: in Slicer they'd be real or ignored


def stand_in(cls):
    cls._stands_for_cpp = True
    REGISTRY[cls.__name__] = cls
    return cls


class QUiLoader:
    def load(self, qfile, parent=None):
        path = qfile.fileName()
        data = bytes(qfile.readAll().data())
        root = ET.fromstring(data)
        wanted = {e.get("class") for e in root.iter("widget")} & {
            c.findtext("class") for c in root.iter("customwidget")
        }
        missing = sorted(wanted - set(REGISTRY))
        if missing:
            raise RuntimeError(f"{path}: no stand-in for {missing}")
        conns = [{k: c.findtext(k) for k in ("sender", "signal", "receiver", "slot")} for c in root.iter("connection")]
        for c in root.findall("connections"):
            root.remove(c)
        loader = QtUiTools.QUiLoader()
        for n in sorted(wanted):
            loader.registerCustomWidget(REGISTRY[n])
        buf = QtCore.QBuffer()
        buf.setData(ET.tostring(root))
        buf.open(QtCore.QIODevice.ReadOnly)
        w = loader.load(buf, parent)
        if w is None:
            raise RuntimeError(loader.errorString())
        by_name = {c.objectName: c for c in w.findChildren(QtCore.QObject) if c.objectName}
        by_name[w.objectName] = w
        for c in conns:
            by_name[c["sender"]].connect(c["signal"], by_name[c["receiver"]], c["slot"])
        for c in by_name.values():
            if getattr(type(c), "_stands_for_cpp", False):
                for p in c.dynamicPropertyNames():
                    p = bytes(p.data()).decode()
                    if not p.startswith(("_q_", "Slicer")):
                        REPORT.append((path, f"{type(c).__name__} {c.objectName}", p))
        return w
