"""Slicer's Python as its package holds it: without the files that Slicer's install rule leaves out.

`strip` does that to a real site-packages folder; `skeleton` makes one of empty files from the records of packages that
are installed here, which is enough for what only looks whether files are there.
"""

from __future__ import annotations

import csv
import importlib.metadata
import re
from pathlib import Path

# of CMake/SlicerBlockInstallPython.cmake, REGEX … EXCLUDE; scripts lie outside of what it installs at all
LEFT_OUT = (r"lib2to3/tests/", r"lib[-]old/", r"plat[-].*", r"/test/", r"/tests/")

# what Slicer brings, by SuperBuild/External_python-*.cmake and External_SimpleITK.cmake of its tags; all: Python 3.12
BROUGHT = {
    "5.10.0": {"numpy": "2.0.2", "scipy": "1.13.1", "SimpleITK": "2.5.2", "pydicom": "2.4.4", "packaging": "25.0"},
    "5.12.3": {"numpy": "2.4.6", "scipy": "1.17.1", "SimpleITK": "2.5.5", "pydicom": "3.0.2", "packaging": "26.2"},
}
BROUGHT["5.13"] = BROUGHT["5.12.3"]  # of main, 2026-08-21


def is_left_out(name: str) -> bool:
    """Whether Slicer's package lacks a file of a package's RECORD."""
    return name.startswith("..") or any(re.search(pattern, f"/{name}") for pattern in LEFT_OUT)


def strip(site: Path) -> int:
    """Remove from a site-packages folder what Slicer's package lacks; the number of files."""
    gone = 0
    for record in site.glob("*.dist-info/RECORD"):
        for name in _names(record.read_text(encoding="utf-8")):
            if is_left_out(name) and (site / name).is_file():
                (site / name).unlink()
                gone += 1
    return gone


def skeleton(folder: Path, *packages: str) -> Path:
    """A stripped site-packages folder of empty files, for packages of this Python; their metadata is real."""
    for package in packages:
        distribution = importlib.metadata.distribution(package)
        for name in _names(distribution.read_text("RECORD")):
            if is_left_out(name):
                continue
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            real = Path(distribution.locate_file(name))
            path.write_bytes(real.read_bytes() if ".dist-info/" in name and real.is_file() else b"")
    return folder


def _names(record: str) -> list[str]:
    return [row[0] for row in csv.reader(record.splitlines()) if row]
