"""Who imports whom in a package, read from its source (AST): nothing is run.

A relative import is resolved, `from .a import b` leads to the file `a/b.py` where there is one, and what stands under
`if TYPE_CHECKING:` does not count. An import by a name in a string (`import_module`) is not seen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Import:
    """A file (its dotted name) imports another, or a package that is not its own, in a line; late: in a function."""

    importer: str
    imported: str
    line: int
    late: bool


@dataclass(frozen=True)
class Package:
    """files: the path of each file by its dotted name; imports: all, in the order of files and lines."""

    name: str
    files: dict[str, Path]
    imports: list[Import]

    @classmethod
    def read(cls, folder: Path, name: str = "") -> Package:
        """The package in `folder`. name: in place of the folder's own. ValueError if a file and a folder of it share
        their name.
        """
        name = name or folder.name
        files = {}
        for path in sorted(folder.rglob("*.py")):
            dotted = _dotted(path.relative_to(folder), name)
            if dotted in files:
                raise ValueError(f"{dotted} is {files[dotted]} and {path}: Python would find only one of them")
            files[dotted] = path
        imports = [found for file, path in files.items() for found in _imports(file, path, files)]
        return cls(name, files, imports)

    @property
    def inside(self) -> list[Import]:
        """Those that lead to another file of this package."""
        return [one for one in self.imports if one.imported in self.files and one.imported != one.importer]

    def circles(self, late: bool = False) -> list[tuple[str, ...]]:
        """Every set of files that import each other around a circle when they are loaded, or (late) ever; sorted by
        name.
        """
        arrows = {file: set() for file in self.files}
        for one in self.inside:
            if late or not one.late:
                arrows[one.importer].add(one.imported)
        reach = {file: _reach(file, arrows) for file in arrows}
        groups = {tuple(sorted(b for b in reach[a] if a in reach[b])) for a in reach if a in reach[a]}
        return sorted(groups)


def _reach(file: str, arrows: dict[str, set[str]]) -> set[str]:
    found, waiting = set(), [file]
    while waiting:
        new = arrows[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def _dotted(path: Path, package: str) -> str:
    parts = path.with_suffix("").parts
    return ".".join((package, *(parts[:-1] if parts[-1] == "__init__" else parts)))


def _imports(file: str, path: Path, files: dict[str, Path]) -> Iterator[Import]:
    package = file if path.name == "__init__.py" else file.rpartition(".")[0]
    for node, late in _statements(ast.parse(path.read_text(encoding="utf-8")), False):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            targets = [f"{base}.{a.name}" if f"{base}.{a.name}" in files else base for a in node.names]
        for target in dict.fromkeys(targets):
            yield Import(file, target, node.lineno, late)


def _statements(node: ast.AST, late: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Every import below `node`, and whether it stands in a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child, late
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from _statements(ast.Module([other], []), late)
        else:
            yield from _statements(
                child, late or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            )
