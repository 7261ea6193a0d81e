"""The allow-list: every name of Slicer, Qt and CTK that a module uses must be declared in their sources.

`problems_in_python` and `problems_in_ui` read a file without running it and return one sentence per unknown name.
The list, slicer_names.txt, was read from the sources by read_slicer_names.py."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from .connections import normalize
from .pythonqt import DECLARED

LIST = Path(__file__).parents[1] / "slicer_names.txt"
ROOTS = ("slicer", "qt", "ctk", "SampleData")
LAYOUT_MARGINS = {"leftMargin", "topMargin", "rightMargin", "bottomMargin", "margin"}  # Designer's, of every layout
CLASS_OF = {
    "slicer.app": "qSlicerApplication",
    "slicer.app.layoutManager()": "qSlicerLayoutManager",
    "slicer.app.layoutManager().sliceWidget()": "qMRMLSliceWidget",
    "slicer.app.layoutManager().sliceWidget().sliceView()": "qMRMLSliceView",
    "slicer.app.layoutManager().sliceWidget().sliceController()": "qMRMLSliceControllerWidget",
    "slicer.app.layoutManager().threeDWidget()": "qMRMLThreeDWidget",
    "slicer.app.layoutManager().threeDWidget().threeDView()": "qMRMLThreeDView",
    "slicer.app.layoutManager().threeDWidget().threeDController()": "qMRMLThreeDViewControllerWidget",
    "slicer.app.coreIOManager()": "qSlicerCoreIOManager",
    "slicer.app.moduleManager()": "qSlicerModuleManager",
    "slicer.app.extensionsManagerModel()": "qSlicerExtensionsManagerModel",
}
SLICER_GLOBALS = {
    "app",
    "mrmlScene",
    "modules",
    "moduleNames",
}  # set by Base/Python/slicer/__init__.py and the application
SLICER_MODULES = {"util", "packaging", "i18n", "ScriptedLoadableModule"}
SIGNATURE = re.compile(r"^\w+\([\w:*, <>]*\)$")


@dataclass
class Names:
    modules: dict[str, set[str]] = field(default_factory=dict)
    properties: dict[str, set[str]] = field(default_factory=dict)
    methods: dict[str, set[str]] = field(default_factory=dict)
    signals: dict[str, set[str]] = field(default_factory=dict)
    values: dict[str, set[str]] = field(default_factory=dict)
    base: dict[str, str] = field(default_factory=dict)
    vtk: set[str] = field(default_factory=set)

    def of_class(self, name: str) -> set[str]:
        signals = {signal.split("(")[0] for signal in self.signals[name]}
        return self.properties[name] | self.methods[name] | self.values[name] | signals


@lru_cache
def names() -> Names:
    result, current = Names(), []
    for line in LIST.read_text(encoding="utf-8").splitlines():
        kind, *words = line.split()
        if kind == "vtk":
            result.vtk.add(words[0])
        elif kind == "module":
            current = result.modules.setdefault(words[0], set())
        elif kind == "class":
            current, result.base[words[0]] = words[0], words[2]
            for table in (result.properties, result.methods, result.signals, result.values):
                table[current] = set()
        elif kind == "names":
            current.update(words)
        elif kind in ("properties", "methods", "signals", "values"):
            getattr(result, kind)[current].update(words)
    return result


def problems_in_python(path: Path) -> list[str]:
    """Unknown names after slicer., qt., ctk., in imports from them, and in the signatures of connect()."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    found = []
    chained = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    chained |= {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        problem = None
        if (isinstance(node, ast.Attribute) and id(node) not in chained) or isinstance(node, ast.Call):
            chain = _chain(node if isinstance(node, ast.Attribute) else node.func)
            problem = _problem_of_chain(chain) if chain else None
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ROOTS:
            known = names().modules.get(node.module, names().modules.get("qt") if node.module == "qt" else None)
            for alias in node.names:
                if node.module == "slicer":
                    problem = _problem_of_chain(f"slicer.{alias.name}")
                elif alias.name != "*" and (known is None or alias.name not in known):
                    problem = f"{node.module} has no {alias.name}"
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("connect", "disconnect")
        ):
            problem = problem or _problem_of_signature(node)
        if problem:
            found.append(f"{path}:{node.lineno}: {problem}")
    return list(dict.fromkeys(found))  # a chain of calls is walked from each of its calls


def _chain(node) -> str | None:
    """`slicer.app.layoutManager().sliceWidget` of an expression that begins with one of ROOTS, else None."""
    if isinstance(node, ast.Name):
        return node.id if node.id in ROOTS else None
    if isinstance(node, ast.Call):
        inner = _chain(node.func)
        return inner and inner + "()"
    if isinstance(node, ast.Attribute):
        inner = _chain(node.value)
        return inner and f"{inner}.{node.attr}"
    return None


def _problem_of_chain(chain: str) -> str | None:
    parts = chain.split(".")
    for end in range(2, len(parts) + 1):
        owner, name = ".".join(parts[: end - 1]), parts[end - 1].removesuffix("()")
        problem = _unknown(owner, name)
        if problem:
            return problem
    return None


def _unknown(owner: str, name: str) -> str | None:
    """None when `owner` has `name`, or when nothing is listed about `owner`."""
    listed, last = names(), owner.removesuffix("()").split(".")[-1]
    if owner == "slicer":
        known = name in SLICER_GLOBALS | SLICER_MODULES | listed.vtk | set(listed.base)
    elif owner in CLASS_OF:
        cls = CLASS_OF[owner]
        known = name in listed.of_class(cls) or _qt_has(listed.base[cls], name)
    elif owner == "slicer.mrmlScene":
        known = _core_has("vtkMRMLScene", name)
    elif owner.startswith("slicer.vtk") and owner.count(".") == 1:
        known = _core_has(last, name)
    elif owner.startswith(("slicer.q", "ctk.ctk")) and owner.count(".") == 1 and last in listed.base:
        known = name in listed.of_class(last) or _qt_has(listed.base[last], name)
    elif owner == "ctk":
        known = name in listed.base or name == "ctkWidgetsUtils"
    elif owner.startswith("qt.Q") and owner.count(".") == 1:
        known = _qt_has(last, name)
    elif owner == "qt":
        known = name in listed.modules["qt"]
    elif owner in listed.modules:
        known = name in listed.modules[owner]
    else:
        return None
    return None if known else f"{owner} has no {name}"


def _core_has(cls: str, name: str) -> bool:
    """Asked of Slicer's real core; True for a class that the wheel lacks."""
    import slicer

    return not hasattr(slicer, cls) or hasattr(getattr(slicer, cls), name)


def _qt_has(cls: str, name: str) -> bool:
    import qt

    return hasattr(getattr(qt, cls, None), name)


def _problem_of_signature(call: ast.Call) -> str | None:
    first = call.args[0] if call.args else None
    if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        return None
    if not SIGNATURE.match(first.value):
        return f"{first.value!r} is not a signal's signature"
    wanted = normalize(first.value)
    listed = any(wanted in signals for signals in names().signals.values())
    of_qt = any(wanted in declared.signals for declared in DECLARED.values())
    return None if listed or of_qt else f"no class has a signal {first.value}"


def problems_in_ui(path: Path) -> list[str]:
    """Unknown classes, properties, signals and slots of a .ui file."""
    root = ET.parse(path).getroot()
    found, class_of = [], {}
    for widget in [*root.iter("widget"), *root.iter("layout")]:
        cls = "QFrame" if widget.get("class") == "Line" else widget.get("class")  # Designer's name of a line
        class_of[widget.get("name")] = cls
        if cls not in names().base and cls not in DECLARED:
            found.append(f"{path}: no class {cls}")
            continue
        known = _properties(cls) | (
            LAYOUT_MARGINS if widget.tag == "layout" else {"SlicerParameterName", "orientation"}
        )
        known |= {"orientation"} if widget.get("class") == "Line" else set()
        for name in [child.get("name") for child in widget.findall("property")]:
            if name not in known:
                found.append(f"{path}: {cls} {widget.get('name')} has no property {name}")
    for wire in root.iter("connection"):
        for end, member in (("sender", "signal"), ("receiver", "slot")):
            cls, signature = class_of.get(wire.findtext(end)), wire.findtext(member)
            if cls is None:
                found.append(f"{path}: no widget named {wire.findtext(end)}")
            elif not _has_member(cls, member, signature):
                found.append(f"{path}: {cls} has no {member} {signature}")
    return found


def _properties(cls: str) -> set[str]:
    return names().properties.get(cls, set()) | DECLARED[names().base.get(cls, cls)].properties


def _has_member(cls: str, kind: str, signature: str) -> bool:
    listed, wanted = names(), normalize(signature)
    declared = DECLARED[listed.base.get(cls, cls)]
    if kind == "signal":
        return wanted in declared.signals | listed.signals.get(cls, set())
    return wanted in declared.methods or wanted.split("(")[0] in listed.methods.get(cls, ())
