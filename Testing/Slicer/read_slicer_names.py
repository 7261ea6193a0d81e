"""Writes slicer_names.txt anew from the sources: what Slicer, CTK and PythonQt declare for Python.

python read_slicer_names.py SLICER_SOURCES CTK_SOURCES PYTHONQT_SOURCES > slicer_names.txt
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

WIDGETS = """
ctkCheckBox ctkCollapsibleButton ctkCollapsibleGroupBox ctkComboBox ctkDirectoryButton ctkDoubleSlider ctkDoubleSpinBox
ctkMessageBox ctkPathLineEdit ctkRangeWidget ctkSliderWidget qMRMLNodeComboBox qMRMLRangeWidget
qMRMLSegmentEditorWidget qMRMLSegmentSelectorWidget qMRMLSegmentationShow3DButton qMRMLSliderWidget qMRMLSpinBox
qMRMLTableView qMRMLWidget qSlicerMarkupsPlaceWidget qSlicerWidget qSlicerScriptedLoadableModuleWidget
qSlicerApplication qSlicerLayoutManager qMRMLSliceWidget qMRMLSliceView qMRMLSliceControllerWidget qMRMLThreeDWidget
qMRMLThreeDView qMRMLThreeDViewControllerWidget qSlicerCoreIOManager qSlicerModuleManager qSlicerExtensionsManagerModel
qSlicerScriptedLoadableModule ctkVTKRenderView
""".split()
PYTHON = {
    "slicer.util": "Base/Python/slicer/util.py",
    "slicer.packaging": "Base/Python/slicer/packaging.py",
    "slicer.i18n": "Base/Python/slicer/i18n.py",
    "slicer.ScriptedLoadableModule": "Base/Python/slicer/ScriptedLoadableModule.py",
    "SampleData": "Modules/Scripted/SampleData/SampleData.py",
}
NEWER_THAN_5_10 = {"LazyImport", "executePythonModule"}  # the panels support 5.10
CALLED_INLINE = ("qWarning", "qCritical")
QT_PARTS = ("core", "gui", "network", "uitools")
SECTION = re.compile(r"^\s*(public|protected|private)?\s*(slots|Q_SLOTS|signals|Q_SIGNALS)?\s*:\s*$")
DECORATED = re.compile(r"\bstatic_(\w+?)_(\w+)\s*\(")  # functions that PythonQt adds to a class
METHOD = re.compile(r"(~?\w+)\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)")


def main(slicer: Path, ctk: Path, pythonqt: Path) -> None:
    projects = (("CTK", ctk), ("Slicer", slicer))
    headers = {path.stem: (name, root, path) for name, root in projects for path in sorted(root.rglob("*.h"))}
    decorators = [path for _, _, path in headers.values() if path.stem.endswith("PythonQtDecorators")]
    decorated = {pair for path in decorators for pair in DECORATED.findall(path.read_text(encoding="utf-8"))}
    print("# What Python may use, and where it is declared. Written by read_slicer_names.py, not by hand.")
    for cls in WIDGETS:
        _print_class(cls, headers, decorated)
    for module, path in PYTHON.items():
        tree = ast.parse((slicer / path).read_text(encoding="utf-8"))
        names = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
        print(f"module {module} Slicer/{path}")
        print("  names", *sorted(name for name in names if name[0] != "_" and name not in NEWER_THAN_5_10))
    for name, (project, root, path) in sorted(headers.items()):
        if name.startswith("vtk") and project == "Slicer" and "Testing" not in path.parts:
            print(f"vtk {name} Slicer/{path.relative_to(root)}")
    for part in QT_PARTS:
        text = (pythonqt / f"generator/typesystem_{part}.xml").read_text(encoding="utf-8", errors="replace")
        print(f"module qt PythonQt/generator/typesystem_{part}.xml")
        print("  names", *sorted(set(re.findall(r'<(?:object|value|namespace)-type name="(Q\w+)"', text))))


def _print_class(cls: str, headers: dict, decorated: set) -> None:
    project, root, path = headers[cls]
    found = {"properties": set(), "methods": set(), "signals": set(), "values": set()}
    base = cls
    while base in headers:
        found["methods"] |= {name for owner, name in decorated if owner == base}
        base = _read_class(base, headers[base][2].read_text(encoding="utf-8", errors="replace"), found)
    print(f"class {cls} {project}/{path.relative_to(root)} {base}")
    for kind in found:
        if names := found[kind]:
            print(" ", kind, *sorted(names))


def _read_class(cls: str, text: str, found: dict) -> str:
    """Adds the properties, methods, signals and enumeration values that PythonQt shows; the base class's name."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*|^\s*#[^\n]*", "", text, flags=re.S | re.M)
    start = re.search(rf"class\s+(?:\w+\s+)?{cls}\s*(?:final\s*)?:\s*public\s+(\w+)", text)
    body = text[start.end() :].split("\n};")[0]
    for name in re.findall(r"Q_PROPERTY\(\s*[\w:<>*& ]+?[\s*&](\w+)\s+READ", body):
        found["properties"].add(name)
    shown = set(re.findall(r"Q_(?:ENUMS?|FLAGS)\(([^)]*)\)", body))
    shown = {name for group in shown for name in group.split()}
    for name, values in re.findall(r"enum\s+(\w+)\s*\{([^}]*)\}", body):
        if {name, name + "s"} & shown:
            found["values"].update(re.findall(r"^\s*(\w+)", values, flags=re.M))
    body = re.sub(r"\bQ_[A-Z_]+\([^()]*\);?", "", body)  # macros look like methods
    access, is_slot, is_signal = "private", False, False
    for statement in re.split(r"(?<=[;{}])|(?<=:)\n", body):
        for section in filter(None, map(SECTION.match, statement.split("\n"))):
            access, is_slot = section[1] or "public", "lots" in (section[2] or "").lower()
            is_signal = "ignals" in (section[2] or "").lower()
        method = METHOD.search(statement)
        if not method or method[1] in (cls, "~" + cls, *CALLED_INLINE):
            continue
        if is_signal:
            types = [_type(part) for part in method[2].split(",") if part.strip()]
            found["signals"].add(f"{method[1]}({','.join(types)})")
        elif "Q_INVOKABLE" in statement or (is_slot and access == "public"):
            found["methods"].add(method[1])
    return start[1]


def _type(parameter: str) -> str:
    parameter = re.sub(r"=.*", "", parameter).replace("const ", "").replace("&", " ").strip()
    match = re.match(r"([\w:<>]+(?:\s*\*)?)\s*\w*$", parameter)
    return (match[1] if match else parameter).replace(" ", "")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
