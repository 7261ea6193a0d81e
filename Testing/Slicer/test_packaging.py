"""What is packaged for Slicer is what is on the disk, and opens as Slicer expects."""

from __future__ import annotations

import ast
import hashlib
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PANELS = ROOT / "MedDiffFM"
MODULES = sorted(path.parent.name for path in PANELS.glob("MedDiffFM*/MedDiffFM*.py"))
SCRIPTS = [path for path in PANELS.rglob("*.py")]
SHARED_UI = ("Panel", "Batch", "Lesion", "LesionResult")  # that one panel may load
IGNORED = {"__pycache__", "CMakeLists.txt"}


def listed(cmake: Path, name: str) -> set[str]:
    (block,) = re.findall(rf"set\({name}\s([^)]*)\)", cmake.read_text(encoding="utf-8"))
    return set(block.split())


@pytest.mark.parametrize(("package", "base"), [("MedDiffFMLib", ROOT), ("MedDiffFMPanels", PANELS)])
def test_every_file_of_a_package_is_listed(package, base):
    cmake = base / package / "CMakeLists.txt"
    files = {
        path.relative_to(base).as_posix()
        for path in (base / package).rglob("*")
        if path.is_file() and not IGNORED & {*path.parts} and ".egg-info" not in str(path)
    }
    scripts = {file for file in files if file.endswith(".py")}
    assert listed(cmake, f"{package}_SCRIPTS") == scripts
    assert listed(cmake, f"{package}_RESOURCES") == files - scripts


@pytest.mark.parametrize("module", MODULES)
def test_every_file_of_a_module_is_listed(module):
    """What `meddifffm_add_module` packages; test_cmake.py runs it."""
    folder = PANELS / module
    files = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not IGNORED & {*path.parts}
    }
    assert files == {f"{module}.py", f"Resources/Icons/{module}.svg", f"Resources/UI/{module}.ui"}
    text = (folder / "CMakeLists.txt").read_text(encoding="utf-8")
    assert text.strip() == f"meddifffm_add_module({module})"
    assert f"add_subdirectory({module})" in (PANELS / "CMakeLists.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_third_party_import_at_file_scope(script):
    allowed = {*sys.stdlib_module_names, "slicer", "qt", "ctk", "vtk", "numpy", "MedDiffFMLib", "MedDiffFMPanels"}
    for statement in ast.parse(script.read_text(encoding="utf-8")).body:
        for node in ast.walk(statement) if not isinstance(statement, (ast.FunctionDef, ast.ClassDef)) else ():
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert {name.split(".")[0] for name in names} <= allowed, script


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_files_and_functions_stay_small(script):
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 40, node.name


def test_panels_open_without_torch(tmp_path):
    """In a process of its own: what a panel imports brings neither torch nor monai."""
    import subprocess

    code = (
        "import sys; sys.path += sys.argv[1:3]; import harness; harness.start();"
        "harness.open_module(sys.argv[3]);"
        "assert not {'torch', 'monai', 'SimpleITK', 'scipy'} & {*sys.modules}, 'imported'"
    )
    module = PANELS / "MedDiffFMDenoise" / "MedDiffFMDenoise.py"
    command = [sys.executable, "-c", code, str(ROOT / "Testing" / "Slicer"), str(ROOT), str(module)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("ui", sorted(PANELS.rglob("*.ui")), ids=lambda path: path.stem)
def test_node_selectors_of_a_ui_follow_the_scene(ui):
    root = ElementTree.parse(ui).getroot()
    of_scene = ("qMRMLNodeComboBox", "qMRMLSegmentEditorWidget", "qSlicerMarkupsPlaceWidget")
    selectors = {w.get("name") for w in root.iter("widget") if w.get("class") in of_scene}
    followed = {c.findtext("receiver") for c in root.iter("connection") if "setMRMLScene" in c.findtext("slot")}
    assert selectors == followed
    custom = {c.findtext("class") for c in root.iter("customwidget")}
    assert custom == {w.get("class") for w in root.iter("widget")} - {
        name for name in {w.get("class") for w in root.iter("widget")} if name.startswith("Q")
    }


@pytest.mark.parametrize("module", MODULES)
def test_what_a_module_says_of_itself(slicer, module, open_panel):
    open_panel(module)
    parent = getattr(slicer.modules, f"{module}Instance").parent
    assert parent.title and parent.categories == ["MedDiff-FM"] and parent.contributors
    assert "not be used for diagnosis" in parent.helpText and parent.acknowledgementText
    assert (PANELS / module / "Resources" / "Icons" / f"{module}.svg").is_file()


def test_sample_data_is_there_and_whole(slicer):
    from MedDiffFMPanels.scene.sample_data import SAMPLES, sampleFile

    for name, (_, checksum) in SAMPLES.items():
        assert hashlib.sha256(sampleFile(name).read_bytes()).hexdigest() == checksum


def test_samples_have_names_and_pictures_of_their_own(slicer, open_panel):
    """In Slicer's Sample Data: a name in words, and a thumbnail as large as Slicer's own."""
    import qt
    import SampleData

    open_panel("MedDiffFMDenoise")
    slicer.app.startupCompleted.emit()
    sources = SampleData.SampleDataLogic().sampleDataSourcesByCategory("MedDiff-FM")
    assert [one.sampleName for one in sources] == ["MedDiff-FM chest CT", "MedDiff-FM abdomen CT"]
    for source in sources:
        picture = qt.QImage(source.thumbnailFileName)
        assert (picture.width(), picture.height()) == (128, 128)
        brightness = [picture.pixelColor(x, y).lightness() for x in range(0, 128, 8) for y in range(0, 128, 8)]
        assert max(brightness) - min(brightness) > 100


def test_packages_are_those_of_the_project(slicer):
    """The set-up installs what pyproject.toml asks for."""
    from MedDiffFMPanels.runner.environment import PACKAGES

    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (block,) = re.findall(r"^dependencies = \[(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    assert {requirement for requirement, _ in PACKAGES.values()} == set(re.findall(r'"([^"]+)"', block))


@pytest.mark.parametrize("module", ["MedDiffFMDenoise", "MedDiffFMDetectAnomalies"])
def test_the_modules_own_test(slicer, module, bundled_home, open_panel):
    open_panel(module)
    getattr(slicer.modules, f"{module}Instance").runTest()


@pytest.mark.parametrize("module", [name for name in MODULES if name != "MedDiffFMPanels"])
def test_no_two_widgets_of_a_panel_share_a_name(module):
    """A panel keeps the widgets of all of its .ui files by name in one place: the second would take the first's."""
    shared = [PANELS / "MedDiffFMPanels" / "Resources" / "UI" / f"MedDiffFM{name}.ui" for name in SHARED_UI]
    files = [*(PANELS / module / "Resources" / "UI").glob("*.ui"), *shared]
    names = Counter(widget.get("name") for path in files for widget in ElementTree.parse(path).iter("widget"))
    assert len(files) == 1 + len(SHARED_UI) and [name for name, count in names.items() if count > 1] == []
