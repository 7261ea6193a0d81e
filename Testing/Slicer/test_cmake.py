"""The extension's CMake files, configured by the real cmake with stand-ins for the macros of Slicer's build (cmake/),
and its entry for the ExtensionsIndex."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path.parent.name for path in (ROOT / "MedDiffFM").glob("MedDiffFM*/MedDiffFM*.py"))
ENTRY = json.loads((ROOT / "MedDiffFM.json").read_text(encoding="utf-8"))

# The entry's schema (Slicer's Schemas/slicer-extension-catalog-entry-schema-v1.0.1.json and 1.0.2), in our words.
REQUIRED = {"$schema", "category", "scm_url"}
TYPES = {name: str for name in (*REQUIRED, "scm_revision", "scm_type", "dicom_support_rule", "build_subdirectory")}
TYPES |= {"build_dependencies": list, "enabled": bool, "tier": int}


@pytest.fixture(scope="module")
def configured(tmp_path_factory):
    """What the CMake files asked for: [(kind, folder, [arguments])]."""
    cmake = Path(pytest.importorskip("cmake").CMAKE_BIN_DIR) / "cmake"
    build = tmp_path_factory.mktemp("build")
    record = build / "record.txt"
    stand_ins = Path(__file__).parent / "cmake"
    command = [str(cmake), "-S", str(ROOT), "-B", str(build), f"-DSlicer_DIR={stand_ins}", f"-DRECORD={record}"]
    # the project names no language, as Slicer's template does not; no compiler is needed for what is recorded
    command += ["-DCMAKE_C_COMPILER_WORKS=1", "-DCMAKE_CXX_COMPILER_WORKS=1"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    if "CMAKE_C_COMPILER not set" in done.stderr or "No CMAKE_C" in done.stderr:
        pytest.skip("no compiler")
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr
    lines = [line.split("|") for line in record.read_text(encoding="utf-8").splitlines()]
    return [(kind, Path(folder), arguments.split(";")) for kind, folder, arguments in lines], build


def test_every_module_is_built_and_tested(configured):
    asked, _ = configured
    built = {arguments[0]: (folder, arguments[1:]) for kind, folder, arguments in asked if kind == "module"}
    assert sorted(built) == MODULES and len(MODULES) == 6
    for name, (folder, files) in built.items():
        assert folder == ROOT / "MedDiffFM" / name
        assert all((folder / file).is_file() for file in files), files
    tests = {(folder / arguments[0]).stem for kind, folder, arguments in asked if kind == "unittest"}
    assert tests == {*MODULES}


def test_both_packages_are_installed_whole(configured):
    asked, build = configured
    packages = {arguments[0]: arguments[1:] for kind, _, arguments in asked if kind == "package"}
    assert {*packages} == {"MedDiffFMLib", "MedDiffFMPanels"}
    for source, *files in packages.values():
        assert files and all((Path(source) / file).is_file() for file in files)
    data = build / "lib" / "qt-scripted-modules" / "MedDiffFMPanels" / "Resources" / "Data"
    for file in data.iterdir():
        assert file.read_bytes() == (ROOT / "Testing" / "Data" / file.name).read_bytes()
    assert len([*data.iterdir()]) == 3


def test_the_entry_of_the_extensions_index(configured):
    """It fits the schema, and says the same as CMake, as the index's own check asks."""
    assert REQUIRED <= {*ENTRY} <= {*TYPES}
    assert all(type(value) is TYPES[name] for name, value in ENTRY.items())
    assert all(isinstance(name, str) for name in ENTRY["build_dependencies"]) and 1 <= ENTRY["tier"] <= 5
    assert (ROOT / "MedDiffFM.json").read_bytes().count(b"\r") == 0
    asked, _ = configured
    said = {arguments[0]: ";".join(arguments[1:]) for kind, _, arguments in asked if kind == "extension"}
    assert [arguments for kind, _, arguments in asked if kind == "project"] == [["MedDiffFM"]]
    assert said["DEPENDS"].split() == ENTRY["build_dependencies"] and said["HOMEPAGE"] == ENTRY["scm_url"]
    assert all(said.values()) and ENTRY["scm_url"].endswith("/SlicerMedDiffFM")
    raw = said["HOMEPAGE"].replace("https://github.com", "https://raw.githubusercontent.com") + "/main/"
    for url in (said["ICONURL"], said["SCREENSHOTURLS"]):
        assert url.startswith(raw) and (ROOT / url.removeprefix(raw)).is_file()


def test_the_size_that_the_index_measures(tmp_path):
    """The index refuses a clone of more than 100 MiB, `.git` and all. Published as one commit, this is one; with its
    history it would be refused, as Docs/extensions-index.md says with both figures.
    """
    clone = tmp_path / "clone"
    done = subprocess.run(["git", "clone", "-q", "--depth", "1", ROOT.as_uri(), clone], capture_output=True)
    if done.returncode:
        pytest.skip("this is no checkout of a git repository")
    size = sum(path.stat().st_size for path in clone.rglob("*") if path.is_file()) / 2**20
    said = re.search(r"as one commit (\d+) MiB", (ROOT / "Docs" / "extensions-index.md").read_text(encoding="utf-8"))
    assert size < 100 and abs(size - int(said[1])) < 5, f"{size:.1f} MiB"
