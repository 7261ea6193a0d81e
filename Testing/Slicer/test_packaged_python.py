"""The set-up in Slicer's Python as its package holds it. With a network, so only where a folder is named for it:

    PACKAGED_PYTHONS=~/pythons pytest Testing/Slicer/test_packaged_python.py

For each version of Slicer a virtual environment with what it brings is made there once, and loses what Slicer's package
lacks. With python3.12 on the path, which Slicer has, it is made with that one. SLICER_SOURCE names a checkout of
Slicer, with which the rule of what is left out is compared.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness.packaged_python import BROUGHT, LEFT_OUT, is_left_out, strip

ROOT = Path(__file__).parents[2]
OWN = ("numpy", "scipy", "SimpleITK", "pydicom")
TORCH = "torch==2.13.0"  # in a trial run only: every version that pip looks at would be fetched as a whole

# `environment` without Slicer: the states that it sees, and what it asks pip for
PROGRAM = """
import json, sys, types
sys.path += sys.argv[1:]
slicer, i18n = types.ModuleType("slicer"), types.ModuleType("slicer.i18n")
i18n.tr = lambda text: text
sys.modules |= {"slicer": slicer, "slicer.i18n": i18n}
from MedDiffFMPanels import environment as e
with e.constraintsFile() as path, open(path) as file:
    constraints = file.read()
needed = e.missing()
asked = [e.PACKAGES[name][0] for name in needed]
states = {p.name: [p.state, p.version] for p in e.packages()}
print(json.dumps({"states": states, "asked": asked, "constraints": constraints}))
"""


@pytest.fixture(params=BROUGHT)
def packaged(request):
    """A version of Slicer and its Python."""
    folder = os.environ.get("PACKAGED_PYTHONS")
    if not folder:
        pytest.skip("PACKAGED_PYTHONS names no folder")
    version, place = request.param, Path(folder).expanduser() / request.param
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run([shutil.which("python3.12") or sys.executable, "-m", "venv", place], check=True)
        wanted = [f"{name}=={number}" for name, number in BROUGHT[version].items()]
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
        assert strip(next(place.glob("lib/python*/site-packages"))) > 500
    return version, python


def test_what_slicer_brings_is_ready_and_the_rest_fits_to_it(packaged, tmp_path):
    version, python = packaged
    paths = [str(ROOT / "MedDiffFM"), str(ROOT)]
    done = subprocess.run([python, "-c", PROGRAM, *paths], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert {name: said["states"][name] for name in OWN} == {name: ["ready", BROUGHT[version][name]] for name in OWN}
    assert {name for name in OWN if f"{name}=={BROUGHT[version][name]}" in said["constraints"]} == {*OWN}
    constraints, report = tmp_path / "constraints.txt", tmp_path / "report.json"
    constraints.write_text(said["constraints"])
    asked = [TORCH if word.startswith("torch") else word for word in said["asked"]]
    command = [python, "-m", "pip", "install", "--dry-run", "-q", "--report", report, "-c", constraints, *asked]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    new = {item["metadata"]["name"].lower() for item in json.loads(report.read_text())["install"]}
    assert {"torch", "monai", "huggingface_hub", "typer"} <= {name.replace("-", "_") for name in new}
    assert not new & {name.lower() for name in OWN}, "Slicer's own would be replaced"


def test_the_rule_is_slicers(tmp_path):
    source = os.environ.get("SLICER_SOURCE")
    if not source:
        pytest.skip("SLICER_SOURCE names no checkout of Slicer")
    text = (Path(source) / "CMake" / "SlicerBlockInstallPython.cmake").read_text(encoding="utf-8")
    (block,) = re.findall(r'DIRECTORY "\$\{PYTHON_DIR\}/\$\{PYTHON_STDLIB_SUBDIR\}/"(.*?)\)', text, re.DOTALL)
    assert set(re.findall(r'REGEX "([^"]+)" EXCLUDE', block)) == set(LEFT_OUT)
    assert "bin" not in re.findall(r'DIRECTORY "\$\{PYTHON_DIR\}/(\w+)', text)


@pytest.mark.parametrize(("package", "external"), [("numpy", "python-numpy"), ("pydicom", "python-dicom-requirements")])
def test_the_versions_are_slicers(package, external):
    """Of the checkout's own version: the newest that is listed."""
    source = os.environ.get("SLICER_SOURCE")
    if not source:
        pytest.skip("SLICER_SOURCE names no checkout of Slicer")
    text = (Path(source) / "SuperBuild" / f"External_{external}.cmake").read_text(encoding="utf-8")
    assert f"{package}=={[*BROUGHT.values()][-1][package]}" in text


def test_slicers_own_way_of_calling_pip():
    """It takes what the set-up passes."""
    source = os.environ.get("SLICER_SOURCE")
    if not source:
        pytest.skip("SLICER_SOURCE names no checkout of Slicer")
    tree = ast.parse((Path(source) / "Base" / "Python" / "slicer" / "packaging.py").read_text(encoding="utf-8"))
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "pip_install"]
    assert {"requirements", "constraints", "requester"} <= {argument.arg for argument in function.args.args}


def test_what_is_left_out():
    names = ("numpy/tests/test_ctypeslib.py", "../../../bin/f2py", "pydicom/test/a.py", "numpy/_core/tests/data/a.csv")
    assert all(map(is_left_out, names))
    assert not any(map(is_left_out, ("numpy/testing/__init__.py", "numpy/__init__.py", "pydicom/latest.py")))
