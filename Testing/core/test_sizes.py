"""Files stay under 300 lines and functions under 40, in the library and the training; of the panels
`Slicer/test_packaging.py` says the same. Those that are larger are listed, and the lists may only shrink.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE, FUNCTION = 300, 40  # lines: a file has at most, a function less
LARGE_FILES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()


def large_files(root: Path, folders=("MedDiffFMLib", "Training")) -> set[str]:
    return {name for name, text in _sources(root, folders) if len(text.splitlines()) > FILE}


def long_functions(root: Path, folders=("MedDiffFMLib", "Training")) -> set[str]:
    """As FILE:FUNCTION; from the line of its `def` to its last."""
    return {
        f"{name}:{node.name}"
        for name, text in _sources(root, folders)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno - node.lineno >= FUNCTION
    }


def _sources(root: Path, folders) -> list[tuple[str, str]]:
    paths = [path for folder in folders for path in sorted((root / folder).rglob("*.py"))]
    return [(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


def test_files_stay_small():
    assert large_files(ROOT) == LARGE_FILES  # one that is small now leaves the list


def test_functions_stay_short():
    assert long_functions(ROOT) == LONG_FUNCTIONS


@pytest.mark.parametrize("more", [0, 1])
def test_what_is_too_large_is_seen(tmp_path, more):
    (tmp_path / "room").mkdir()
    body = ["    async def method(self):", *["        pass"] * (FUNCTION - 1 + more)]
    file = ["class A:", *body, *["# line"] * (FILE - 1 - len(body) + more)]
    (tmp_path / "room" / "file.py").write_text("\n".join(file) + "\n")
    assert large_files(tmp_path, ["room"]) == ({"room/file.py"} if more else set())
    assert long_functions(tmp_path, ["room"]) == ({"room/file.py:method"} if more else set())
