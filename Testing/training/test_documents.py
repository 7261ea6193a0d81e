"""The documents of the training: commands in them exist with their options, and files that they name are there."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from functools import cache

import pytest
import typer
from training_runs import REPOSITORY

from MedDiffFMLib.cli.app import build_app
from MedDiffFMLib.networks.unet import NetworkConfig
from MedDiffFMTraining.commands import register
from MedDiffFMTraining.commands.train import train_app
from MedDiffFMTraining.data.crop_config import CropConfig

DOCUMENTS = [
    "Docs/training-on-one-gpu.md",
    "Training/README.md",
    "Docs/history/training-runs.md",
    "Training/RUNS.md",
    "Docs/evaluation-restoration.md",
    "Docs/evaluation-synthesis.md",
]
SETTINGS = {"network": NetworkConfig, "crops": CropConfig}
DIFFERENCES = "Docs/differences-from-the-paper.md"
COMMAND = re.compile(r"(meddiff-fm|-m MedDiffFMTraining) +([a-z][^`#|;]*)")


@cache
def application() -> typer.Typer:
    app = build_app()
    register(app)  # the project may be installed or not
    return app


def commands_in(text: str) -> list[tuple[str, list[str]]]:
    """(program, words) of every command line in the code blocks and code spans of a document."""
    blocks = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    found = [match for line in (*lines, *spans) if (match := COMMAND.search(line))]
    return [(match[1], shlex.split(match[2].replace("…", " "))) for match in found]


def unknown_in(program: str, words: list[str]) -> str:
    """What of a command line does not exist: a command or an option; nothing if all of it does."""
    command = typer.main.get_command(application() if program == "meddiff-fm" else train_app)
    while hasattr(command, "commands"):
        if not words or words[0] == words[0].upper():  # a placeholder such as TASK
            return ""
        name, *words = words
        if name not in command.commands:
            return name
        command = command.commands[name]
    options = {option for parameter in command.params for option in parameter.opts}
    return " ".join(word for word in words if word.startswith("--") and word.split("=")[0] not in options)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_exists_with_its_options(document):
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    found = commands_in(text)
    assert found
    wrong = {" ".join(words): unknown for program, words in found if (unknown := unknown_in(program, words))}
    assert not wrong


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_is_named_is_there(document):
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    links = [(REPOSITORY / document).parent / link for link in re.findall(r"\]\(([^):#]+)(?:#[^)]*)?\)", text)]
    named = [
        REPOSITORY / name for name in re.findall(r"\b((?:Training|Testing|MedDiffFMLib|Docs)/[\w./-]+\.\w+)", text)
    ]
    missing = [str(path) for path in (*links, *named) if not path.exists()]
    assert not missing


GONE = """```
meddiff-fm train pack store file
x && meddiff-fm train pretrain store run \\
  --config a.json --wrokers 3
accelerate launch -m MedDiffFMTraining pretrian store
```"""


def test_a_command_or_an_option_that_is_gone_is_found():
    assert [unknown_in(*found) for found in commands_in(GONE)] == ["pack", "--wrokers", "pretrian"]


def test_every_switch_of_the_paper_exists():
    """What the table of differences names: options of some command, and settings of a run, of crops or of a network."""
    text = (REPOSITORY / DIFFERENCES).read_text(encoding="utf-8")
    options = set(re.findall(r"(?<!-)--[a-z][a-z-]*", text))
    assert options and options <= all_options(typer.main.get_command(application()))
    settings = {name: {field.name for field in fields(kind)} for name, kind in SETTINGS.items()}
    named = re.findall(r"`(network|crops)\.(\w+)", text)
    assert named and all(name in settings[group] for group, name in named)


def all_options(command) -> set[str]:
    """The options of a command and of those below it."""
    found = {option for parameter in command.params for option in parameter.opts}
    return found.union(*(all_options(one) for one in getattr(command, "commands", {}).values()))


@pytest.mark.parametrize("document", [*DOCUMENTS, DIFFERENCES, "README.md"])
def test_no_document_says_that_something_is_exactly_the_papers(document):
    text = " ".join((REPOSITORY / document).read_text(encoding="utf-8").split())
    assert not re.findall(r"[^.|]*paper[^.|]{0,60}\bexactly\b|\bexactly\b[^.|]{0,60}paper[^.|]*", text)
