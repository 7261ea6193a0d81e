"""The house of the panels: which of its rooms may import which. Arrows lead one way (`MedDiffFM/README.md`)."""

import ast
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


def hands_itself_over(path: Path) -> list[str]:
    """Calls in a file that give away the object that makes them, but for those of its own base classes."""
    tree, found = ast.parse(path.read_text(encoding="utf-8")), []
    bases = {ast.unparse(base) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for base in node.bases}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        own = isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) in bases
        if not own and any(isinstance(one, ast.Name) and one.id == "self" for one in given):
            found.append(f"{path.name}:{call.lineno} {ast.unparse(call)}")
    return found


def knows_the_panel(path: Path) -> list[str]:
    """Places in a file where something is called `panel`: a parameter, a variable or an attribute."""
    names = {ast.arg: "arg", ast.Name: "id", ast.Attribute: "attr"}
    nodes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if type(node) in names]
    found = [node for node in nodes if getattr(node, names[type(node)]).lower().strip("_") == "panel"]
    return [f"{path.name}:{node.lineno}" for node in found]


def test_the_panel_gives_itself_to_no_section():
    """A section is given widgets, bindings and the functions that it calls: each can be read without `panel.py`."""
    assert hands_itself_over(PANELS / "panel.py") == []
    rooms = [path for room in ("sections", "tasks") for path in sorted((PANELS / room).glob("*.py"))]
    assert len(rooms) > 15
    assert [place for path in rooms for place in knows_the_panel(path)] == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("class P(W):\n    def setup(self):\n        self.run = RunPart(self)", True),
        ("class P(W):\n    def setup(self):\n        self.run = RunPart(ui, owner=self)", True),
        ("class P(W):\n    def setup(self):\n        W.setup(self)\n        self.run = RunPart(self.ui)", False),
    ],
)
def test_a_panel_that_gives_itself_away_is_seen(tmp_path, text, wrong):
    (tmp_path / "panel.py").write_text(text)
    assert bool(hands_itself_over(tmp_path / "panel.py")) == wrong


def test_a_section_that_knows_the_panel_is_seen(tmp_path):
    (tmp_path / "run.py").write_text("class R:\n    def __init__(self, panel):\n        self._panel = panel\n")
    assert knows_the_panel(tmp_path / "run.py") == ["run.py:2", "run.py:3", "run.py:3"]


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
