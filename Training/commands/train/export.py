"""`meddiff-fm train export`: a run's weights as a model folder."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from MedDiffFMLib.errors import InputError

from ..options import RunConfig, State


def export(
    state: State,
    config: RunConfig,
    folder: Annotated[Path, typer.Argument(help="Model folder to write.")],
    name: Annotated[str | None, typer.Option(help="The model's name. Default: meddiff-fm-small.")] = None,
    tasks: Annotated[Path | None, typer.Option(help="Task defaults found in validation (JSON).")] = None,
    card: Annotated[Path | None, typer.Option(help="Model card (Markdown). Default: the run's facts.")] = None,
    licence: Annotated[str, typer.Option(help="License of the weights, as the training data allow.")] = "CC-BY-NC-4.0",
    overwrite: Annotated[bool, typer.Option(help="Replace the folder.")] = False,
) -> None:
    """Write a run's averaged weights as a model folder: float16, checksum, card.

    A distilled model synthesizes in its own few steps by default.
    """
    from ...learn.export import export_model, read_run

    defaults = _defaults(tasks) if tasks else {}
    text = _text_of(card, "a model card")
    print(export_model(read_run(state, config), folder, name, defaults, text, licence, overwrite))


def _defaults(file: Path) -> dict:
    """{task or lesion-KIND: {setting: value}}. InputError if the file holds anything else."""
    from MedDiffFMLib.parameters import TASKS

    try:
        found = json.loads(_text_of(file, "task defaults"))
    except json.JSONDecodeError as error:
        raise InputError(f"{file} cannot be read as JSON ({error}): name a file with task defaults.") from None
    if not isinstance(found, dict):
        raise InputError(f"{file} must hold an object, settings by the name of a task: correct it.")
    for name in found:
        if name not in TASKS and not re.fullmatch(r"lesion-[\w.-]+", name):
            known = ", ".join(TASKS)
            raise InputError(
                f"{file} has settings of {name!r}, which is neither a task ({known}) nor a ControlNet lesion-KIND: "
                "correct it."
            )
    return found


def _text_of(path: Path | None, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8") if path else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}): name a file with {what}.") from None
