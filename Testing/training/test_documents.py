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
    "Docs/evaluation-image-quality.md",
    "Docs/evaluation-synthesis.md",
    "Docs/reproducing-the-paper.md",
]
DATA_SETS = "Training/data/datasets.md"  # it names the data sets' own files, too
BY_NAME = ["Docs/equations.md", "Docs/paper-walk.md"]  # they name functions and tests of files
SETTINGS = {"network": NetworkConfig, "crops": CropConfig}
DIFFERENCES = "Docs/differences-from-the-paper.md"
COMMAND = re.compile(r"(meddiff-fm|-m MedDiffFMTraining) +([a-z][^`#|;]*)")


@cache
def application() -> typer.Typer:
    app = build_app()
    register(app)  # the project may be installed or not
    return app


def test_each_equation_of_the_paper_is_found_by_one_search():
    """`grep "paper eq"` from the root shows where (1), (3), (5), (6) and (9) to (13) are."""
    files = [path for folder in ("MedDiffFMLib", "Training") for path in (REPOSITORY / folder).rglob("*.py")]
    shown = {number for path in files for number in re.findall(r"paper eq\. (\d+)", path.read_text(encoding="utf-8"))}
    assert {1, 3, 5, 6, 9, 10, 11, 12, 13} <= set(map(int, shown))


def commands_in(text: str) -> list[tuple[str, list[str]]]:
    """(program, words) of every command line in the code blocks and code spans of a document."""
    blocks = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    spans = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    found = [match for line in (*lines, *(" ".join(span.split()) for span in spans)) if (match := COMMAND.search(line))]
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


@pytest.mark.parametrize("document", [*DOCUMENTS, DATA_SETS])
def test_every_command_exists_with_its_options(document):
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    found = commands_in(text)
    assert found
    wrong = {" ".join(words): unknown for program, words in found if (unknown := unknown_in(program, words))}
    assert not wrong


@pytest.mark.parametrize("document", [*DOCUMENTS, *BY_NAME, DIFFERENCES])
def test_every_file_that_is_named_is_there(document):
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    links = [(REPOSITORY / document).parent / link for link in re.findall(r"\]\(([^):#]+)(?:#[^)]*)?\)", text)]
    named = [
        REPOSITORY / name for name in re.findall(r"\b((?:Training|Testing|MedDiffFMLib|Docs)/[\w./-]+\.\w+)", text)
    ]
    missing = [str(path) for path in (*links, *named) if not path.exists()]
    assert not missing


NAMED = re.compile(r"`((?:Training|Testing|MedDiffFMLib)/[\w/.-]+\.py)`:((?: `[\w.]+`,?)+)")


def names_in(text: str) -> list[tuple[str, str]]:
    """(file, name) of every function, class, constant or test that a document names after its file."""
    return [
        (match[1], name.rpartition(".")[2])
        for match in NAMED.finditer(text)
        for name in re.findall(r"`([\w.]+)`", match[2])
    ]


def is_in(file: str, name: str) -> bool:
    """Whether a file of the repository defines the name."""
    source = (REPOSITORY / file).read_text(encoding="utf-8")
    return re.search(rf"^ *(def|class) {name}\b|^{name}\b[^=\n]*=", source, re.MULTILINE) is not None


@pytest.mark.parametrize("document", BY_NAME)
def test_every_function_and_test_that_is_named_is_there(document):
    found = names_in((REPOSITORY / document).read_text(encoding="utf-8"))
    assert len(found) > 30
    assert not [(file, name) for file, name in found if not is_in(file, name)]


def test_a_function_that_is_gone_is_found():
    text = "`Training/data/split.py`: `split_of`, `Splitter.draw`; `Training/data/split.py`: `SPLITS`"
    assert [is_in(*one) for one in names_in(text)] == [True, False, True]


GONE = """```
meddiff-fm train pack store file
x && meddiff-fm train pretrain store run \\
  --config a.json --wrokers 3
accelerate launch -m MedDiffFMTraining pretrian store
```
or `meddiff-fm evaluate denoise --window -160
240 --whole-body`."""


def test_a_command_or_an_option_that_is_gone_is_found():
    assert [unknown_in(*found) for found in commands_in(GONE)] == ["pack", "--wrokers", "pretrian", "--whole-body"]


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


@pytest.mark.parametrize("document", [*DOCUMENTS, *BY_NAME, DATA_SETS, DIFFERENCES, "README.md"])
def test_no_document_says_that_something_is_exactly_the_papers(document):
    text = " ".join((REPOSITORY / document).read_text(encoding="utf-8").split())
    assert not re.findall(r"[^.|]*paper[^.|]{0,60}\bexactly\b|\bexactly\b[^.|]{0,60}paper[^.|]*", text)
