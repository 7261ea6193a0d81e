"""What a module is called and links to, and what *Reload* and *Test* of developer mode do."""

from __future__ import annotations

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
import MedDiffFMPanels.run_part as before
assert before.RunPart is type(panel.run)
panel.onReload()
new = slicer.modules.MedDiffFMDenoiseWidget
import MedDiffFMPanels.run_part as after
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
