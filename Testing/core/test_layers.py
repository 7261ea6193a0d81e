"""The house of the library: rooms one above the other, and imports lead down only. No circles, here or in the panels
and the training. See `Docs/architecture.md` for what each room is for.
"""

import sys
from pathlib import Path

import pytest
from imports import Package

ROOT = Path(__file__).parents[2]
# from top to bottom: a room may import those below it, and within a room everything may import everything
LAYERS = (
    *("cli", "batch", "worker", "self_test", "jobs", "tasks", "inference", "refinement", "models", "networks"),
    *("anatomy", "progress", "volumes", "parameters", "atomic", "diffusion", "crash_message", "errors"),
    *("processes", "extras"),
)
# rooms that are one file of the root
FILES = ("progress", "atomic", "errors", "crash_message", "processes", "extras")
ROOM_OF = {"__main__": "cli", "worker_process": "worker"}  # other files of the root, and the room that they belong to
# what needs nothing but the standard library, so that panels and the command line's help may import it
STANDARD = (
    *("", "parameters", "errors", "atomic", "crash_message", "processes", "extras"),
    *("anatomy.classes", "anatomy.regions", "models.config", "worker.protocol", "worker.client"),
)
WITH_NUMPY = ("tasks.strength", "tasks.threshold")  # the same with numpy, which Slicer has
MATHEMATICS, MAY_IMPORT = "diffusion", {"torch", "numpy", "scipy"}
ABOVE_ALL = {"MedDiffFMPanels", "MedDiffFMTraining", "slicer", "qt", "ctk", "vtk"}  # that the library never imports

PACKAGES = {
    "MedDiffFMLib": ROOT / "MedDiffFMLib",
    "MedDiffFMPanels": ROOT / "MedDiffFM" / "MedDiffFMPanels",
    "MedDiffFMTraining": ROOT / "Training",
}


def room_of(package: Package, file: str) -> str | None:
    """The room of a file; "" for the package's own `__init__`, which may import nothing; None if it has none."""
    first, *rest = file.split(".")[1:] or [""]
    in_folder = bool(rest) or package.files[file].name == "__init__.py"
    if in_folder:
        return first if first not in FILES and first in ("", *LAYERS) else None
    return first if first in FILES else ROOM_OF.get(first)


def strangers(package: Package) -> list[str]:
    """Files that belong to no room."""
    return [file for file in package.files if room_of(package, file) is None]


def upward_arrows(package: Package) -> list[str]:
    """Imports that lead up, of files that have a room; also those in functions, and those out of the library."""
    found = []
    for one in package.imports:
        above = one.imported.split(".")[0] in ABOVE_ALL
        if one.imported in package.files:
            here, there = room_of(package, one.importer), room_of(package, one.imported)
            above = there not in ("", None) and here is not None and _floor(there) < _floor(here)
        if above:
            found.append(f"{one.importer}:{one.line} imports {one.imported}")
    return found


def _floor(room: str) -> int:
    """Counted from the top; the package itself lies below everything."""
    return LAYERS.index(room) if room else len(LAYERS)


def needs_more_than_the_standard_library(
    package: Package, files: tuple[str, ...] = STANDARD, also: frozenset[str] = frozenset()
) -> list[str]:
    """Imports of `files`, and of the packages that they lie in, that bring something else when they are
    loaded. also: packages that may be.
    """
    listed = {file for file in package.files if any(_lies_in(file, f"{package.name}.{one}") for one in files if one)}
    listed |= {".".join(file.split(".")[:n]) for file in listed for n in range(1, file.count(".") + 1)}
    listed.add(package.name)
    brought = [one for one in package.imports if one.importer in listed and not one.late]
    allowed = {*sys.stdlib_module_names, *listed, *also}
    return [
        f"{one.importer}:{one.line} imports {one.imported}"
        for one in brought
        if one.imported not in listed and one.imported.split(".")[0] not in allowed - {package.name}
    ]


def more_than_mathematics(package: Package) -> list[str]:
    """Imports of the paper's mathematics that are neither mathematics nor the errors."""
    room, errors = f"{package.name}.{MATHEMATICS}", f"{package.name}.errors"
    allowed = {*sys.stdlib_module_names, *MAY_IMPORT}
    return [
        f"{one.importer}:{one.line} imports {one.imported}"
        for one in package.imports
        if _lies_in(one.importer, room)
        and not (one.imported.split(".")[0] in allowed or _lies_in(one.imported, room) or one.imported == errors)
    ]


def _lies_in(file: str, room: str) -> bool:
    return file == room or file.startswith(room + ".")


@pytest.fixture(scope="module")
def library():
    return Package.read(PACKAGES["MedDiffFMLib"])


def test_every_file_belongs_to_a_room(library):
    assert strangers(library) == []


def test_no_arrow_leads_up(library):
    assert upward_arrows(library) == []


def test_what_a_panel_imports_needs_the_standard_library_alone(library):
    assert needs_more_than_the_standard_library(library) == []
    assert needs_more_than_the_standard_library(library, WITH_NUMPY, frozenset({"numpy"})) == []


def test_mathematics_knows_neither_ct_nor_files(library):
    assert more_than_mathematics(library) == []


@pytest.mark.parametrize("name", PACKAGES)
def test_no_files_import_each_other_in_a_circle(name):
    package = Package.read(PACKAGES[name], name)
    assert package.circles(late=True) == []


# the same on a small package, which does what is forbidden


@pytest.fixture
def build(tmp_path):
    """A package `House` of files and their source; its root is always there."""

    def make(**files: str) -> Package:
        for name, text in {"__init__": "", **files}.items():
            path = tmp_path / "House" / f"{name.replace('__in__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.parent.name != "House":
                (path.parent / "__init__.py").touch()
            path.write_text(text)
        return Package.read(tmp_path / "House")

    return make


def test_a_file_without_a_room_is_seen(build):
    house = build(models__in__loading="", errors="", anatomy="", junk="", attic__in__old="", progress__in__bar="")
    strange = {"House.anatomy", "House.attic", "House.attic.old", "House.junk", "House.progress", "House.progress.bar"}
    assert set(strangers(house)) == strange


def test_a_file_and_a_room_of_one_name_are_refused(build):
    with pytest.raises(ValueError, match=r"House\.models is .*models\.py"):
        build(models__in__loading="", models="")


@pytest.mark.parametrize(
    "text",
    [
        "from ..tasks.denoise import denoise",
        "from ..tasks import denoise",
        "import House.tasks.denoise",
        "from House.tasks import denoise",
        "def late():\n    from ..tasks import denoise",
        "class A:\n    def late(self):\n        if self:\n            import House.tasks.denoise",
        "try:\n    from ..tasks.denoise import denoise\nexcept ImportError:\n    pass",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    from ..tasks import denoise",
    ],
)
def test_an_upward_arrow_is_seen_wherever_it_stands(build, text):
    (found,) = upward_arrows(build(tasks__in__denoise="", models__in__loading=text))
    assert found.startswith("House.models.loading:") and found.endswith("imports House.tasks.denoise")


@pytest.mark.parametrize("text", ["import slicer", "def late():\n    from MedDiffFMPanels.panel import Panel"])
def test_an_arrow_out_of_the_library_is_seen(build, text):
    assert len(upward_arrows(build(cli__in__app=text))) == 1


def test_arrows_down_within_a_room_to_the_root_and_for_types_are_none(build):
    up_for_types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .tasks.denoise import denoise"
    down = "from . import other\nfrom ..errors import InputError\nfrom .. import __version__\nimport torch"
    house = build(tasks__in__denoise=down, tasks__in__other="", errors="", progress=up_for_types)
    assert upward_arrows(house) == []
    assert [one.imported for one in house.imports if one.importer == "House.tasks.denoise"] == [
        *("House.tasks.other", "House.errors", "House", "torch")
    ]


@pytest.mark.parametrize(
    "files",
    [
        {"errors": "import torch"},
        {"parameters__in__base": "from numpy import array"},
        {"parameters__in__base": "from ..volumes import roi", "volumes__in__roi": ""},
        {"models__in__config": "", "models": "from .loading import Model", "models__in__loading": ""},
        {"__init__": "import numpy"},
    ],
)
def test_more_than_the_standard_library_is_seen(build, files):
    if "models" in files:
        files = {"models__in____init__" if name == "models" else name: text for name, text in files.items()}
    assert len(needs_more_than_the_standard_library(build(**files))) == 1


def test_the_standard_library_may_be_imported_and_later_the_rest(build):
    later = "import json, os.path\nfrom ..errors import InputError\ndef load():\n    import torch"
    assert needs_more_than_the_standard_library(build(models__in__config=later, errors="import math")) == []


def test_more_than_mathematics_is_seen(build):
    text = "import math, torch\nfrom . import schedule\nfrom ..errors import InputError\n"
    text += "import monai\nfrom ..volumes import roi"
    house = build(diffusion__in__samplers=text, diffusion__in__schedule="", errors="", volumes__in__roi="")
    assert [one.split()[-1] for one in more_than_mathematics(house)] == ["monai", "House.volumes.roi"]


def test_circles_are_seen(build):
    house = build(
        models__in__a="from .b import x",
        models__in__b="from ..volumes import c",
        volumes__in__c="import House.models.a",
        volumes__in__alone="from . import late",
        volumes__in__late="def f():\n    from .alone import x",
        errors="import House.errors",
    )
    circle = ("House.models.a", "House.models.b", "House.volumes.c")
    assert house.circles() == [circle]
    assert house.circles(late=True) == [circle, ("House.volumes.alone", "House.volumes.late")]
