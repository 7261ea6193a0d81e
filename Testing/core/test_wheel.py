"""The package as it is installed from its wheel: outside of any checkout, in an empty folder, without extras.

The wheel is really built and installed; the packages that only extras bring are hidden from it.
"""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from patience import PATIENCE

from MedDiffFMLib.errors import in_words, kind_of
from MedDiffFMLib.extras import EXTRAS, extra_of

ROOT = Path(__file__).parents[2]
SOURCES = {"MedDiffFMLib": ROOT / "MedDiffFMLib", "MedDiffFMTraining": ROOT / "Training"}
# where a distribution's import name is not its own
IMPORT_NAMES = {
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
    "astra-toolbox": "astra",
    "huggingface-hub": "huggingface_hub",
}
BROUGHT = {"nibabel": "anatomy"}  # by what an extra names

DRIVER = """
import contextlib, importlib.abc, io, json, sys, time
hidden, commands, results = json.loads(sys.argv[1]), json.loads(sys.argv[2]), []
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hide())
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name.partition(".")[0] in hidden else find_spec(name)
import MedDiffFMLib
from MedDiffFMLib.cli.app import main
for command in commands:
    out, err = io.StringIO(), io.StringIO()
    began = time.process_time()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(command)
    seconds = time.process_time() - began
    heavy = "torch" in sys.modules
    results.append({"code": code, "out": out.getvalue(), "err": err.getvalue(), "seconds": seconds, "torch": heavy})
print(json.dumps({"file": MedDiffFMLib.__file__, "results": results}))
"""

# what needs an extra, and which; each is refused before anything long
REFUSED = {
    "demo": "training",
    "evaluate denoise": "training",
    "evaluate image-quality": "training",
    "evaluate super-resolve": "training",
    "evaluate detect-anomalies": "training",
    "evaluate synthesize": "training",
    "evaluate ablation model": "training",
    "evaluate generate-lesion": "training",
    "evaluate inpaint-lesion": "training",
    "evaluate pictures .": "training",
    "evaluate tune-classical --data .": "training",
    "evaluate distillation store teacher student": "training",
    "evaluate condition store model control": "training",
    "train prepare manifest.csv store": "training",
    "train simulate-noise store": "training",
    "train noise-bank store bank": "training",
    "train pretrain store run": "training",
    "train finetune store run base --config c.json": "training",
    "train distill store run base --config c.json": "training",
    "train refine store run base --config c.json": "training",
    "train baseline red-cnn store run": "training",
    "train baseline ddpm store run": "training",
    "batch denoise scans out --scheduler tcp://127.0.0.1:1": "batch",
    "denoise ct.nii.gz a.nii.gz --anatomy totalsegmentator": "anatomy",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source, ignore = folder / "source", shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("MedDiffFMLib", "Training"):
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE.txt"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, source]
    if _setuptools() >= 77:  # what pyproject.toml asks for: nothing is downloaded
        command.insert(4, "--no-build-isolation")
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.whl")
    return made


def _setuptools() -> int:
    try:
        return int(importlib.metadata.version("setuptools").partition(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return 0


def test_the_wheel_holds_every_module_and_what_is_bundled(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    for package, folder in SOURCES.items():
        files = {f"{package}/{file.relative_to(folder).as_posix()}" for file in folder.rglob("*.py")}
        assert files == {name for name in inside if name.startswith(f"{package}/") and name.endswith(".py")}
    bundled = {
        file.relative_to(ROOT).as_posix() for file in (ROOT / "MedDiffFMLib/bundled").rglob("*") if file.is_file()
    }
    assert bundled <= inside and "MedDiffFMTraining/data/split.json" in inside
    assert not [name for name in inside if name.startswith(("Testing", "MedDiffFM/"))]


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> dict:
    """What each command of `REFUSED`, and some that work, said and did in an empty folder; by the command."""
    site, empty = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("empty")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-compile", "--target", site, wheel]
    subprocess.run(command, check=True, timeout=PATIENCE)
    shutil.copy(site / "MedDiffFMLib/bundled/self-test/ct.nii.gz", empty)
    (empty / "scans").mkdir()
    shutil.copy(empty / "ct.nii.gz", empty / "scans")
    commands = ["models list", *REFUSED, "denoise ct.nii.gz clean.nii.gz --quality fast --device cpu"]
    hidden = json.dumps([module for modules in EXTRAS.values() for module in modules])
    words = json.dumps([command.split() for command in commands])
    environment = os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", "MEDDIFF_FM_HOME": str(empty / "home")}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, hidden, words],
        cwd=empty,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout.splitlines()[-1])
    assert Path(record["file"]).is_relative_to(site)
    return dict(zip(commands, record["results"], strict=True)) | {"folder": empty}


@pytest.mark.parametrize("command", REFUSED)
def test_what_needs_an_extra_names_it_at_once(installed, command):
    result = installed[command]
    assert result["code"] == 2, result
    assert result["err"].startswith("meddiff-fm: ") and result["err"].count("\n") == 1
    assert f"meddiff-fm[{REFUSED[command]}]" in result["err"]
    if REFUSED[command] == "training":
        assert result["seconds"] < 10 and not result["torch"], "it named the extra only after something long"


def test_what_needs_no_extra_works(installed):
    assert installed["models list"]["code"] == 0 and "meddiff-fm-small" in installed["models list"]["out"]
    assert not installed["models list"]["torch"]
    denoised = next(result for command, result in installed.items() if command.startswith("denoise ct.nii.gz clean"))
    assert denoised["code"] == 0, denoised
    assert {"clean.nii.gz", "clean.json"} <= {path.name for path in installed["folder"].iterdir()}
    assert not (installed["folder"] / "a.nii.gz").exists() and not (installed["folder"] / "store").exists()


def test_the_extras_are_those_of_the_project():
    requirements = importlib.metadata.metadata("meddiff-fm").get_all("Requires-Dist")
    found: dict[str, set[str]] = {}
    for one in requirements:
        if match := re.match(r"([\w.-]+).*extra == ['\"](\w+)['\"]", one):
            name = match[1].lower()
            found.setdefault(match[2], set()).add(IMPORT_NAMES.get(name, name))
    core = {re.match(r"[\w.-]+", one)[0].lower() for one in requirements if "extra ==" not in one}
    for extra, modules in EXTRAS.items():
        own = found[extra] - core - {"meddiff-fm"}
        assert {m for m in modules if BROUGHT.get(m) != extra} == own, extra


def test_no_module_needs_an_extra_to_be_imported():
    """A package of an extra is imported where it is used; all others are the core's or the standard library's."""
    core = {re.match(r"[\w.-]+", one)[0] for one in importlib.metadata.requires("meddiff-fm") if "extra ==" not in one}
    known = {IMPORT_NAMES.get(name, name).replace("-", "_").lower() for name in core} | {"pil"}
    for folder in SOURCES.values():
        for file in folder.rglob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            at_import = {name for node in tree.body for name in _imported(node)}
            for name in {name for node in ast.walk(tree) for name in _imported(node)}:
                if name in sys.stdlib_module_names or name in SOURCES or name.lower() in known:
                    continue
                assert extra_of(name), f"{file.name} imports {name}, which neither the core nor an extra brings"
                assert name not in at_import or file.name == "segmenter_process.py", (
                    f"{file.name} imports {name} at once"
                )


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return [node.module.partition(".")[0]]
    return []


def test_an_import_that_nobody_guarded_is_told_as_well():
    error = ModuleNotFoundError("No module named 'sklearn.metrics'", name="sklearn.metrics")
    assert kind_of(error) == "input"
    assert (
        in_words(error) == "This needs packages that are not installed (sklearn): pip install 'meddiff-fm[training]'."
    )
    assert kind_of(ModuleNotFoundError("No module named 'torch'", name="torch")) == "crash"
