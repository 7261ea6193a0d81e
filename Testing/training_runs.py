"""Training runs as real processes: `python -m MedDiffFMTraining`, wherever the tests run from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import MedDiffFMTraining

REPOSITORY = Path(__file__).parents[1]


def start(folder: Path, *arguments: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen:
    """Start `meddiff-fm train ARGUMENTS` as a process of its own, by `launcher` (a module with its options)."""
    packages = folder / "packages"  # the project may be installed or not
    packages.mkdir(exist_ok=True)
    link = packages / "MedDiffFMTraining"
    if not link.exists():
        link.symlink_to(Path(MedDiffFMTraining.__file__).resolve().parent)
    path = os.pathsep.join([str(REPOSITORY), str(packages), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, *(["-m", *launcher] if launcher else []), "-m", "MedDiffFMTraining", *arguments]
    return subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",  # in any locale: the settings and sentences are
    )


def run(folder: Path, *arguments: str, launcher: tuple[str, ...] = ()) -> tuple[int, str]:
    """Run a command to its end: exit code and what it said."""
    process = start(folder, *arguments, launcher=launcher)
    said, _ = process.communicate(timeout=300)
    return process.returncode, said
