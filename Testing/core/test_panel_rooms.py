"""The house of the panels: which of its rooms may import which. Arrows lead one way (`MedDiffFM/README.md`)."""

from pathlib import Path

import pytest
from imports import Package

PANELS = Path(__file__).parents[2] / "MedDiffFM" / "MedDiffFMPanels"
# a room, and those that it may import besides itself; the files of the root are rooms of their own
MAY_IMPORT = {
    "panel": {"sections", "views", "logic", "scene", "runner", "toolkit", "module"},
    "self_test": {"logic", "scene", "runner"},
    "module": {"scene"},
    "tasks": {"sections", "views", "logic", "scene", "runner", "toolkit"},
    "sections": {"dialogs", "views", "logic", "scene", "runner", "toolkit"},
    "dialogs": {"runner", "scene", "toolkit"},
    "views": {"scene", "toolkit"},
    "logic": {"scene", "runner"},
    "scene": {"toolkit"},
    "runner": {"toolkit"},
    "toolkit": set(),
    "failures": set(),  # the words for what goes wrong, which every room may import
}


def room_of(file: str) -> str:
    return file.split(".")[1] if "." in file else ""


def wrong_arrows(package: Package) -> list[str]:
    """Imports from a room that another one should not know, in functions too."""
    found = []
    for one in package.inside:
        here, there = room_of(one.importer), room_of(one.imported)
        if there not in {here, "", "failures"} | MAY_IMPORT.get(here, set()):
            found.append(f"{one.importer}:{one.line} imports {one.imported}")
    return found


def test_every_file_of_the_panels_has_a_room():
    package = Package.read(PANELS)
    assert {room_of(file) for file in package.files} == {"", *MAY_IMPORT}


def test_no_arrow_of_the_panels_leads_up():
    assert wrong_arrows(Package.read(PANELS)) == []


def test_the_rooms_themselves_make_no_circle():
    """What a room may import can be drawn from top to bottom."""
    left = dict(MAY_IMPORT)
    while lowest := [room for room, others in left.items() if not others & left.keys()]:
        for room in lowest:
            del left[room]
    assert not left


@pytest.mark.parametrize(
    ("file", "text", "wrong"),
    [
        ("scene/nrrd.py", "from ..runner.job import Job", True),
        ("scene/nrrd.py", "def late():\n    from ..sections import run", True),
        ("toolkit/tables.py", "from ..scene import nrrd", True),
        ("runner/job.py", "from ..scene.nrrd import readNrrd", True),
        ("views/compare.py", "import House.sections.run", True),
        ("sections/run.py", "from .. import panel", True),
        ("sections/run.py", "from ..scene.nrrd import readNrrd\nfrom ..failures import Failure", False),
        ("scene/nrrd.py", "from ..toolkit import tables\nfrom . import other", False),
    ],
)
def test_a_wrong_arrow_is_seen(tmp_path, file, text, wrong):
    rooms = ("scene/nrrd", "scene/other", "toolkit/tables", "runner/job", "views/compare", "sections/run")
    for name in (*rooms, "panel", "failures", "__init__"):
        path = tmp_path / "House" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.touch()
    (tmp_path / "House" / file).write_text(text)
    assert bool(wrong_arrows(Package.read(tmp_path / "House"))) == wrong
