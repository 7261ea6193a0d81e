"""What a module is called and links to, and what *Reload* and *Test* of developer mode do."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("slicer")

ROOT = Path(__file__).parents[2]
MODULES = sorted(path.parent.name for path in (ROOT / "MedDiffFM").glob("MedDiffFM*/MedDiffFM*.py"))


@pytest.mark.parametrize("module", MODULES)
def test_a_search_finds_it_and_its_help_leads_to_its_tutorial(slicer, open_panel, module):
    """Among hundreds of modules by “CT” and by the method's name; the page is there, in the place that is named."""
    from MedDiffFMPanels.module import HOMEPAGE

    open_panel(module)
    parent = getattr(slicer.modules, f"{module}Instance").parent
    assert re.search(r"\bCT\b", parent.title) and "MedDiff-FM" in parent.title
    (link,) = re.findall(r'href="([^"]+)"', parent.helpText)
    assert f'EXTENSION_HOMEPAGE "{HOMEPAGE}"' in (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    page = ROOT / link.removeprefix(f"{HOMEPAGE}/blob/main/")
    assert page.is_file() and page.name.startswith("tutorial-")
    assert page.name.removeprefix("tutorial-").removesuffix(".md").replace("-", "") in module.lower()


def run_apart(code, *arguments, **options):
    """Python code in a process of its own, where the harness has been started; what it printed."""
    before = "import sys; sys.path[:0] = sys.argv[1:4]; import harness; slicer = harness.start();"
    paths = [str(path) for path in (ROOT / "Testing" / "Slicer", ROOT / "MedDiffFM", ROOT)]
    command = [sys.executable, "-c", before + code, *paths, *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", timeout=300, check=False, **options
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


RELOAD = """
panel = harness.open_module(sys.argv[4])
import MedDiffFMPanels.sections.run as before
assert before.RunPart is type(panel.run)
panel.onReload()
new = slicer.modules.MedDiffFMDenoiseWidget
import MedDiffFMPanels.sections.run as after
assert new is not panel and after is not before
assert type(new.run) is after.RunPart and type(new.run) is not before.RunPart, "old code runs on"
slicer.app.processEvents()
assert new.parent is panel.parent and new.ui.runButton.isVisible()
harness.close_module(new)
print("well")
"""


def test_reload_takes_in_what_the_modules_share():
    assert "well" in run_apart(RELOAD, ROOT / "MedDiffFM" / "MedDiffFMDenoise" / "MedDiffFMDenoise.py")


SKIPPED = """
panel = harness.open_module(sys.argv[4])
harness.packages.pretend_missing("torch")
slicer.modules.MedDiffFMDenoiseInstance.runTest()
print("well")
"""


def test_a_modules_own_test_without_packages_is_no_failure():
    """*Test* of developer mode calls runTest() outside of unittest, where SkipTest would be an error."""
    assert "well" in run_apart(SKIPPED, ROOT / "MedDiffFM" / "MedDiffFMDenoise" / "MedDiffFMDenoise.py")


def modules_found(folder: Path, depth: int) -> set[str]:
    """What Slicer finds in a folder dropped onto it, as ModuleInfo.findModules does (5.8 to 5.13): no package, and in
    each file a class of the file's name, read in the encoding of the system.
    """
    entries = list(folder.iterdir())
    if any(entry.name.endswith("__init__.py") for entry in entries):
        return set()
    found = set().union(*(modules_found(one, depth - 1) for one in entries if depth > 0 and one.is_dir()))
    for entry in entries:
        text = entry.read_bytes() if entry.suffix == ".py" else b""
        if f"class {entry.stem}(ScriptedLoadableModule)".encode() in text and text.isascii():
            found.add(entry.stem)
    return found


def test_the_folder_that_the_documentation_names_can_be_dropped_onto_slicer():
    """README and Docs/slicer.md say “drag the folder MedDiffFM”; the repository itself would give nothing."""
    assert modules_found(ROOT / "MedDiffFM", 1) == {*MODULES}
    assert modules_found(ROOT, 1) == set()
    for page in ("README.md", "Docs/slicer.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert "`MedDiffFM/`" in text and "onto Slicer" in text, page


@pytest.mark.skipif("SLICER_SOURCES" not in os.environ, reason="SLICER_SOURCES names no checkout of Slicer")
def test_slicers_own_search_finds_the_six():
    library = Path(os.environ["SLICER_SOURCES"], "Modules", "Scripted", "ExtensionWizard", "ExtensionWizardLib")
    place = importlib.util.spec_from_file_location("ModuleInfo", library / "ModuleInfo.py")
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    for folder, wanted in ((ROOT / "MedDiffFM", {*MODULES}), (ROOT, set())):
        assert {found.key for found in module.ModuleInfo.findModules(str(folder), 1)} == wanted


PAGES = [*sorted((ROOT / "Docs").glob("*.md")), ROOT / "README.md", ROOT / "MedDiffFM" / "README.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_no_table_is_broken(page):
    """A row of a table follows its head, its line or another row: after an empty line it would be plain text."""
    lines = [line.strip() for line in page.read_text(encoding="utf-8").splitlines()]
    for before, line, after in zip(["", *lines], lines, [*lines[1:], ""], strict=False):
        if line.startswith("|") and not before.startswith("|"):
            assert re.fullmatch(r"[|:\- ]+", after), f"{page.name}: {line[:60]}"
