"""The rooms of the training: imports lead down only, those in functions too. That there are no circles, and how large
files and functions are, `core/test_layers.py` and `core/test_sizes.py` say of this package as of the library.
"""

from __future__ import annotations

import pytest
from imports import Package
from training_runs import REPOSITORY

NAME = "MedDiffFMTraining"
# from top to bottom: a room may import those below it, and itself
LAYERS = (
    *("__main__", "commands.evaluate", "commands.train", "commands"),
    *("evaluate.show", "evaluate.probes", "evaluate.tasks", "evaluate.baselines", "evaluate.reports"),
    *("evaluate.cases", "evaluate.metrics", "learn", "data"),
)
ASSEMBLED = f"{NAME}.commands"  # its `__init__` puts the commands together, and lies above them


def floor_of(file: str) -> int | None:
    """The number of a file's layer, 0 on top; None for a folder's `__init__` that holds no room of its own."""
    if file == ASSEMBLED:
        return 0
    inside = file.removeprefix(f"{NAME}.")
    return next((n for n, room in enumerate(LAYERS) if inside == room or inside.startswith(f"{room}.")), None)


def upward_arrows(package: Package) -> list[str]:
    """Imports of this package that lead to a higher room, or out of an `__init__` without a room."""
    return [
        f"{one.importer}:{one.line} imports {one.imported}"
        for one in package.inside
        if (there := floor_of(one.imported)) is not None and ((here := floor_of(one.importer)) is None or there < here)
    ]


def test_every_file_has_a_room():
    package = Package.read(REPOSITORY / "Training", NAME)
    assert {file for file in package.files if floor_of(file) is None} == {NAME, f"{NAME}.evaluate"}


def test_no_arrow_leads_up():
    assert upward_arrows(Package.read(REPOSITORY / "Training", NAME)) == []


@pytest.mark.parametrize(
    ("file", "line", "wrong"),
    [
        ("learn/loss.py", "from ..evaluate.metrics import anatomy", True),
        ("data/crops.py", "def f():\n    from ..learn.config import PretrainConfig", True),
        ("evaluate/cases/lesions.py", "from ..tasks.lesions import Lesions", True),
        ("evaluate/metrics/anatomy.py", "from ..reports import paper", True),
        ("evaluate/__init__.py", "from .metrics import anatomy", True),
        ("evaluate/tasks/lesions.py", "from ..metrics import anatomy", False),
        ("commands/train/pretrain.py", "def f():\n    from ...learn.config import PretrainConfig", False),
        (
            "learn/loss.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..evaluate import tasks",
            False,
        ),
    ],
)
def test_an_arrow_that_leads_up_is_seen(tmp_path, file, line, wrong):
    for path in ("data/crops", "learn/config", "learn/loss", "commands/train/pretrain", "evaluate/cases/lesions"):
        _write(tmp_path / f"{path}.py", "")
    for path in ("metrics/anatomy", "tasks/lesions", "reports/paper"):
        _write(tmp_path / "evaluate" / f"{path}.py", "")
    _write(tmp_path / file, line)
    assert bool(upward_arrows(Package.read(tmp_path, NAME))) == wrong


def _write(path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for folder in (path.parent, path.parent.parent):
        (folder / "__init__.py").touch()
    path.write_text(text)
