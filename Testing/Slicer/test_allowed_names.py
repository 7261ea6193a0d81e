"""Every name of Slicer, Qt and CTK that the modules use is declared in those projects' sources (slicer_names.txt)."""

from pathlib import Path

import pytest
from harness.names import names, problems_in_python, problems_in_ui

HERE = Path(__file__).parent
MODULES = HERE.parents[1] / "MedDiffFM"
FAKE = HERE / "fake" / "FakeDenoise"

PANEL = """
import qt
import slicer
from slicer.util import {imported}


def use(button):
    timer = qt.{timer}()
    button.connect("{signal}", print)
    slicer.util.{function}(slicer.app.layoutManager().{view}("Red").{widget})
    return slicer.{node}, slicer.mrmlScene.{scene}, slicer.app.{app}
"""
GOOD = {
    "imported": "VTKObservationMixin",
    "timer": "QTimer",
    "signal": "clicked(bool)",
    "function": "arrayFromVolume",
    "view": "sliceWidget",
    "widget": "sliceLogic()",
    "node": "vtkMRMLMarkupsROINode",
    "scene": "AddNewNodeByClass",
    "app": "temporaryPath",
}
BAD = {
    "imported": "VTKObserverMixin",
    "timer": "QTicker",
    "signal": "clocked(bool)",
    "function": "arrayOfVolume",
    "view": "sliceView",
    "widget": "sliceLogik()",
    "node": "vtkMRMLRoiNode",
    "scene": "AddNodeByName",
    "app": "temporaryFolder",
}


def all_problems(folder: Path) -> list[str]:
    python = [line for path in sorted(folder.rglob("*.py")) for line in problems_in_python(path)]
    return python + [line for path in sorted(folder.rglob("*.ui")) for line in problems_in_ui(path)]


@pytest.mark.parametrize("folder", [MODULES, FAKE], ids=["MedDiffFM", "fake"])
def test_modules_use_only_names_of_slicer(slicer, folder):
    assert all_problems(folder) == []


def test_a_module_of_good_names_passes(slicer, tmp_path):
    (tmp_path / "panel.py").write_text(PANEL.format(**GOOD))
    assert all_problems(tmp_path) == []


@pytest.mark.parametrize("kind", BAD)
def test_a_wrong_name_is_found(slicer, tmp_path, kind):
    (tmp_path / "panel.py").write_text(PANEL.format(**GOOD | {kind: BAD[kind]}))
    (problem,) = all_problems(tmp_path)
    assert BAD[kind].split("(")[0] in problem


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('class="ctkSliderWidget"', 'class="ctkSlideWidget"'),
        ('name="singleStep"', 'name="step"'),
        ('name="showChildNodeTypes"', 'name="showChildTypes"'),
        ("mrmlSceneChanged(vtkMRMLScene*)", "sceneChanged(vtkMRMLScene*)"),
        ("setMRMLScene(vtkMRMLScene*)", "setScene(vtkMRMLScene*)"),
        ("<receiver>inputSelector", "<receiver>inputChooser"),
    ],
)
def test_a_wrong_name_in_a_ui_file_is_found(slicer, tmp_path, right, wrong):
    text = (FAKE / "Resources" / "UI" / "FakeDenoise.ui").read_text()
    assert right in text
    (tmp_path / "panel.ui").write_text(text.replace(right, wrong))
    assert all_problems(tmp_path)


def test_stand_ins_show_only_what_the_headers_declare(slicer):
    import qt
    from harness.uiloader import STAND_INS

    own = {"signatures", "stands_for", "remember", "set_entered", "in_module_panel"}
    aliases = {"ExtensionsManagerModel": "qSlicerExtensionsManagerModel", "LayoutManager": "qSlicerLayoutManager"}
    extra = {}
    for name, cls in STAND_INS.items():
        declared = names().of_class(aliases.get(name, name)) | own
        parents = [parent for parent in cls.__mro__ if parent.__module__.startswith("harness")]
        bases = [parent for parent in cls.__mro__ if "PySide6" in parent.__module__]
        bases.append(getattr(qt, names().base[aliases.get(name, name)]))
        qt_names = {known for base in bases for known in dir(base)} | {"applicationName"}
        shown = {attribute for parent in parents for attribute in vars(parent) if not attribute.startswith("_")}
        if shown - declared - qt_names:
            extra[name] = sorted(shown - declared - qt_names)
    assert extra == {}
