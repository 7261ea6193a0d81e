"""Each panel in an interpreter of its own, by each way in, where nothing was imported before; and what it leaves."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from panels import add_chest
from test_every_panel import CROP, PANELS, add_organs

pytest.importorskip("slicer")

HERE = Path(__file__).parent
SOURCES = [*(HERE.parents[1] / "MedDiffFM").rglob("*.py"), *(HERE.parents[1] / "MedDiffFMLib").rglob("*.py")]


@pytest.fixture
def study(slicer, tiny_home_with_controls, tmp_path):
    """A chest and its organs as files, and a tiny model."""
    chest = add_chest(**CROP)
    assert slicer.util.saveNode(chest, str(tmp_path / "Chest.nrrd"))
    assert slicer.util.saveNode(add_organs(chest), str(tmp_path / "Organs.seg.nrrd"))
    return tmp_path


def alone(module, way, folder, *more):
    """What `alone.py` tells."""
    command = [sys.executable, str(HERE / "alone.py"), module, way, str(folder), *more]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=os.environ, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("module", PANELS)
def test_to_a_result_and_nothing_stays(study, module):
    report = alone(module, "empty", study, "run")
    source = {"ct": "Chest", "organs": "Organs"}[PANELS[module][0]]
    assert report["errors"] == [] and report["chosen"] == source
    assert report["result"].startswith(source) and report["counted"] >= 2
    assert report["nodes"] == [], "kept after the scene was closed"
    assert report["active"] == [] and report["children"] == [] and report["folders"] == []


@pytest.mark.parametrize("way", ["loaded", "second"])
@pytest.mark.parametrize("module", PANELS)
def test_opened_later(study, module, way):
    report = alone(module, way, study)
    assert report["errors"] == [] and report["chosen"] == {"ct": "Chest", "organs": "Organs"}[PANELS[module][0]]
    assert report["nodes"] == [] and report["active"] == [] and report["children"] == []


@pytest.mark.parametrize("script", SOURCES, ids=lambda path: path.name)
def test_no_submodule_is_used_that_nobody_imports(script):
    """`vtk.util` is there only after `import vtk.util`: what a file reaches through a package it imports itself."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    imported = {one.name for node in imports for one in node.names}
    roots = {name.split(".")[0]: name.split(".")[0] for name in imported}
    names = roots | {one.asname: one.name for node in imports for one in node.names if one.asname}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
            package, name = names[node.value.id], node.attr
            if f"{package}.{name}" not in imported and is_submodule(package, name):
                assert is_there_at_once(package, name), f"{script.name}:{node.lineno}: import {package}.{name} itself"


def is_submodule(package, name):
    if package.split(".")[0] in ("slicer", "qt", "ctk"):  # Slicer's own, whole from its start
        return False
    try:
        return importlib.util.find_spec(f"{package}.{name}") is not None
    except (ImportError, AttributeError, ValueError):
        return False


def is_there_at_once(package, name, known={}):  # noqa: B006 - asked once for all files
    if (package, name) not in known:
        code = f"import {package}; {package}.{name}"
        known[package, name] = subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
    return known[package, name]
