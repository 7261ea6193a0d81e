"""What the outside sees: the help of every command, the worker's `hello`, the provenance of every task, `models show`.

A snapshot is a text of this folder's `snapshots`. What differs from computer to computer, or from run to run, stands in
it by its type alone: `<str>`.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import click
from tiny_model import save_full_tiny_model
from typer.main import get_command
from worker_client import Client

import MedDiffFMLib
from MedDiffFMLib.cli.app import build_app, main
from MedDiffFMLib.parameters import TASKS

from .cases import COARSE, make_inputs

FOLDER = Path(__file__).parent / "snapshots"
DATA = Path(__file__).parents[1] / "Data"
WIDTH = 100  # of the terminal
OPTIONS = {
    "denoise": ("--quality", "fast"),
    "detect-anomalies": ("--organ", "lungs", "--draws", "1"),
    "synthesize": ("--quality", "fast", "--steps", "2"),
    "super-resolve": ("--quality", "fast", "--factor", "2"),
    "generate-lesion": ("--quality", "fast", "--synthesis-steps", "2", "--steps", "2", "--resample", "1"),
    "inpaint-lesion": ("--steps", "2", "--resample", "1"),
}
ENDINGS = {"volume": ".nii.gz", "map": ".nii.gz", "mask": ".nii.gz", "table": ".csv"}


def masked(value):
    """JSON with its values by their type, and keys as they are; of a list whose values are alike the first alone."""
    if isinstance(value, dict):
        return {key: masked(one) for key, one in value.items()}
    if isinstance(value, list):
        found = [masked(one) for one in value]
        return found if any(one != found[0] for one in found) else found[:1]
    return f"<{type(value).__name__}>"


def masked_at(value, *keys: str):
    """JSON as it is, but for what stands under one of the keys."""
    if isinstance(value, dict):
        return {key: masked(one) if key in keys else masked_at(one, *keys) for key, one in value.items()}
    return [masked_at(one, *keys) for one in value] if isinstance(value, list) else value


def in_json(value) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def help_texts() -> dict[str, str]:
    """By the words that call it: the help of every command, plugins' too, without boxes and colors."""
    return dict(_helps(get_command(build_app()), None, "meddiff-fm"))


def _helps(command: click.Command, parent: click.Context | None, name: str) -> Iterator[tuple[str, str]]:
    command.rich_markup_mode = None
    wide = {"terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, info_name=name, parent=parent, **command.context_settings | wide)
    yield context.command_path, command.get_help(context) + "\n"
    for word, below in getattr(command, "commands", {}).items():
        yield from _helps(below, context, word)


def hello(folder: Path) -> str:
    """The worker's `hello` event; what it says of the computer by type."""
    worker = Client(cwd=folder)
    worker.send({"request": "hello", "id": "1"})
    event, _ = worker.until("hello")
    worker.end()
    system = dict.fromkeys(event["system"], "<any>")
    return in_json(masked_at(event, "version", "device", "models") | {"system": system})


def provenance(task: str, folder: Path) -> str:
    """What a run of a task on the command line writes: the names of its files, and the provenance by type."""
    model = _coarse_model(folder / "model")
    inputs, out = make_inputs(DATA)["chest"], folder / task
    out.mkdir()
    arguments = [task]
    for slot in (slot for slot in TASKS[task].files if not slot.on_request):
        path = out / (slot.name + ENDINGS.get(slot.kind, ".nii.gz"))
        if not slot.output:
            MedDiffFMLib.write_volume(replace(inputs[slot.kind], source=""), path)
        arguments += [f"--{slot.name.replace('_', '-')}", str(path)] if slot.optional else [str(path)]
    arguments += [*OPTIONS[task], "--region", "chest", "--model", str(model), "--device", "cpu"]
    before = {path.name for path in out.iterdir()}
    assert main([*arguments, "--precision", "float32"]) == 0
    written = sorted({path.name for path in out.iterdir()} - before)
    record = json.loads(next(out.glob("output*.json")).read_text(encoding="utf-8"))
    kept = {key: record[key] for key in ("format", "task", "synthetic", "notice")}
    return in_json({"written": written, "provenance": masked(record) | kept})


def _coarse_model(folder: Path) -> Path:
    """The model folder, made if it is not there: it computes on a coarser grid than 1 mm."""
    if not folder.exists():
        config = save_full_tiny_model(folder) / "config.json"
        values = json.loads(config.read_text(encoding="utf-8"))
        values["tasks"] = {"detect-anomalies": COARSE, "inpaint-lesion": COARSE}
        config.write_text(json.dumps(values), encoding="utf-8")
    return folder


def models_show(folder: Path) -> str:
    """`meddiff-fm models show` of a model with all that a model may have; checksums by type."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["models", "show", str(save_full_tiny_model(folder / "shown"))]) == 0
    return in_json(masked_at(json.loads(printed.getvalue()), "sha256", "base_sha256"))


def makers() -> dict[str, Callable[[Path], str]]:
    """By the name of the snapshot's file: what makes its text in an empty folder, but for the help texts."""
    tasks = {f"provenance {task}.json": lambda folder, task=task: provenance(task, folder) for task in OPTIONS}
    return {"hello.json": hello, "models show.json": models_show, **tasks}


def difference(name: str, now: str) -> str:
    """What differs from the snapshot of this name, line by line; nothing if it is the same."""
    path = FOLDER / name
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = difflib.unified_diff(before.splitlines(), now.splitlines(), f"snapshots/{name}", "now", lineterm="")
    return "\n".join(lines)
