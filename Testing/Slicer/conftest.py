"""3D Slicer's real core with real Qt widgets, started once per test session; see harness/README.md."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import traceback
from pathlib import Path

import pytest
import warm_worker
from tiny_model import save_tiny_model

if any(importlib.util.find_spec(name) is None for name in ("slicer", "PySide6")):
    collect_ignore_glob = ["test_*.py"]  # a Python that slicer-core or PySide6 has no wheel for

REPOSITORY = Path(__file__).parents[2]
HOMES = {"bundled_home", "tiny_home", "tiny_home_with_controls", "refined_home"}  # fixtures that keep the worker warm


@pytest.fixture(scope="session")
def _core():
    import harness

    slicer = harness.start()
    yield slicer
    shutil.rmtree(slicer.app.temporaryPath, ignore_errors=True)


@pytest.fixture(autouse=True)
def slicer(_core, monkeypatch, request):
    """The `slicer` module with an empty scene; exceptions in slots and observers, which Qt and VTK swallow, fail it."""
    errors: list[str] = []
    monkeypatch.setattr(sys, "excepthook", lambda *error: errors.append("".join(traceback.format_exception(*error))))
    import harness
    from harness import dialogs, packages

    if not HOMES & set(request.fixturenames):
        warm_worker.end_kept()
    dialogs.reset()
    packages.reset()
    _core.app.userSettings().remove("MedDiffFM")  # what another test's user has chosen
    _core.mrmlScene.Clear(False)
    # after a scene that was loaded, the core keeps a branch of unresolved items, and would save it with the next one
    _core.mrmlScene.RemoveNode(_core.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(_core.mrmlScene))
    yield _core
    _core.app.processEvents()
    harness.delete_now()  # else the widgets of all tests before watch the scene of each test
    assert not errors, "exceptions in slots:\n" + "\n".join(errors)
    assert not dialogs.unanswered(), "answers were prepared for dialogs that did not come"


@pytest.fixture(scope="session")
def _homes(tmp_path_factory):
    from lesion_run import save_model_with_controls

    folder = tmp_path_factory.mktemp("homes")
    (folder / "bundled").mkdir()
    save_tiny_model(folder / "tiny" / "models" / "tiny")
    save_model_with_controls(folder / "controls")
    return folder


@pytest.fixture
def bundled_home(slicer, _homes, monkeypatch):
    """A user's folder without a model: the bundled one is used. As those below, it keeps the worker warm."""
    with warm_worker.at_home(_homes / "bundled", slicer, monkeypatch) as home:
        yield home


@pytest.fixture
def tiny_home(slicer, _homes, monkeypatch):
    """A user's folder with the model "tiny", for where the quality does not matter."""
    with warm_worker.at_home(_homes / "tiny", slicer, monkeypatch) as home:
        yield home


@pytest.fixture
def cold_home(_homes, monkeypatch):
    """As `tiny_home`, for a test whose worker is its own."""
    monkeypatch.setenv("MEDDIFF_FM_HOME", str(_homes / "tiny"))
    return _homes / "tiny"


@pytest.fixture
def tiny_home_with_controls(slicer, _homes, monkeypatch):
    """A user's folder with the model "tiny", which has a ControlNet for lesions; 16³ windows, three steps."""
    with warm_worker.at_home(_homes / "controls", slicer, monkeypatch) as home:
        yield home


@pytest.fixture
def open_panel(slicer, request):
    """`open_panel("MedDiffFMDenoise")` or `open_panel(path_of_py)`: the module's widget object, closed at the end."""
    import harness

    for home in HOMES & set(request.fixturenames):
        request.getfixturevalue(home)  # before, so that a panel is closed before its home is left
    opened = []

    def open_(module):
        path = Path(module)
        if path.suffix != ".py":
            path = REPOSITORY / "MedDiffFM" / str(module) / f"{module}.py"
        opened.append(harness.open_module(path))
        return opened[-1]

    yield open_
    for widget in reversed(opened):
        with warm_worker.held():
            harness.close_module(widget)
