"""3D Slicer's real core with real Qt widgets, started once per test session; see harness/README.md."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import traceback
from pathlib import Path

import pytest

if any(importlib.util.find_spec(name) is None for name in ("slicer", "PySide6")):
    collect_ignore_glob = ["test_*.py"]  # a Python that slicer-core or PySide6 has no wheel for

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def _core():
    import harness

    slicer = harness.start()
    yield slicer
    shutil.rmtree(slicer.app.temporaryPath, ignore_errors=True)


@pytest.fixture(autouse=True)
def slicer(_core, monkeypatch):
    """The `slicer` module with an empty scene; exceptions in slots and observers, which Qt and VTK swallow, fail it."""
    errors: list[str] = []
    monkeypatch.setattr(sys, "excepthook", lambda *error: errors.append("".join(traceback.format_exception(*error))))
    import harness
    from harness import dialogs, packages

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


@pytest.fixture
def open_panel(slicer):
    """`open_panel("MedDiffFMDenoise")` or `open_panel(path_of_py)`: the module's widget object, closed at the end."""
    import harness

    opened = []

    def open_(module):
        path = Path(module)
        if path.suffix != ".py":
            path = REPOSITORY / "MedDiffFM" / str(module) / f"{module}.py"
        opened.append(harness.open_module(path))
        return opened[-1]

    yield open_
    for widget in reversed(opened):
        harness.close_module(widget)
