"""Options of a task's command, made from its parameters, so that both always agree."""

from __future__ import annotations

import dataclasses
import inspect
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from ..parameters import ANATOMY_FILE, TASKS, CommonParameters, Parameters


@dataclasses.dataclass(frozen=True)
class ShellOptions:
    """What only the command line has."""

    json: Path | None = None
    quiet: bool = False
    verbose: bool = False


_JSON_HELP = "Parameters: run from this file, or record them there if it does not exist."
_SHELL = {
    "json": (Path | None, None, typer.Option("--json", metavar="FILE", help=_JSON_HELP)),
    "quiet": (bool, False, typer.Option("-q", "--quiet", help="Print nothing but errors.")),
    "verbose": (bool, False, typer.Option("-v", "--verbose", help="Print details, and tracebacks of errors.")),
}


def _option(field: dataclasses.Field) -> inspect.Parameter:
    """A shell option of one parameter. It is text, checked by `Parameters.from_dict`; None means that it was not
    given.
    """
    limits = field.metadata
    flag, name = limits["kind"] == "flag", f"--{field.name.replace('_', '-')}"
    default = "" if field.default is None or flag else f" Default: {field.default}."
    option = typer.Option(
        name,
        help=limits["help"] + default,
        metavar=None if flag else limits.get("metavar") or "|".join(limits["choices"]),
        show_default=False,
        rich_help_panel="More options" if limits.get("advanced") else "Options",
    )
    annotation = Annotated[bool if flag else str | None, option]
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=False if flag else None, annotation=annotation
    )


def task_command(task: str, run: Callable) -> Callable:
    """The command of a task, for `Typer.command`.

    `run` takes files as positional arguments (annotated for Typer) and then, by name, `parameters` (the task's),
    `common` and `shell`; its docstring is the help.
    """
    own, groups = inspect.signature(run, eval_str=True), (TASKS[task], CommonParameters)
    files = [p for p in own.parameters.values() if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    options = [_option(field) for group in groups for field in dataclasses.fields(group)]
    shell = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])
        for name, (kind, default, option) in _SHELL.items()
    ]

    def command(**values):
        paths = [values.pop(p.name) for p in files]
        shell_options = ShellOptions(*(values.pop(name) for name in _SHELL))
        set_verbosity(shell_options)
        check_record(shell_options.json)
        parameters, common = merge(task, values, shell_options.json)
        run(*paths, parameters=parameters, common=common, shell=shell_options)
        if shell_options.json and not shell_options.json.exists():
            record(task, parameters, common, shell_options.json)

    command.__signature__ = inspect.Signature([*files, *options, *shell])
    command.__annotations__ = {p.name: p.annotation for p in command.__signature__.parameters.values()}
    command.__doc__, command.__name__ = run.__doc__, run.__name__
    return command


def set_verbosity(shell: ShellOptions) -> None:
    """-v shows details and tracebacks, -q only errors."""
    level = logging.DEBUG if shell.verbose else logging.ERROR if shell.quiet else logging.WARNING
    logging.getLogger("MedDiffFMLib").setLevel(level)


def check_record(file: Path | None) -> None:
    """Before any work: InputError unless `file` can be read or, if it does not exist, written."""
    if file is not None and (file.is_dir() or not file.parent.is_dir()):
        raise InputError(f"{file} cannot hold parameters: name a file in a folder that exists.")


def merge(task: str, given: dict, file: Path | None) -> tuple[Parameters, CommonParameters]:
    """The task's parameters and the common ones: the command line goes before `file`, `file` before the defaults."""
    values = read_parameters(task, file) if file is not None and file.exists() else {}
    values |= {name: value for name, value in given.items() if value is not None and value is not False}
    if values.get("anatomy") == ANATOMY_FILE:
        raise InputError(f"{file} was made with an anatomy file that it does not name: give that file with --anatomy.")
    common = {field.name for field in dataclasses.fields(CommonParameters)}
    return (
        TASKS[task].from_dict({name: value for name, value in values.items() if name not in common}),
        CommonParameters.from_dict({name: value for name, value in values.items() if name in common}),
    )


def read_parameters(task: str, file: Path) -> dict:
    """Names and values from a file that `--json` recorded, or from the provenance beside a result. InputError if it
    is neither.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read as JSON ({error}): name a file that --json recorded.") from error
    if not isinstance(document, dict) or not isinstance(document.get("parameters"), dict):
        raise InputError(f"{file} holds no parameters: name a file that --json recorded.")
    if document.get("task", task) != task:
        raise InputError(f"{file} holds the parameters of {document['task']}, not of {task}: name another file.")
    return dict(document["parameters"])


def record(task: str, parameters: Parameters, common: CommonParameters, file: Path) -> None:
    """Write the parameters for a later `--json`, whole or not at all. Overwriting is a decision of each run, so not
    recorded.
    """
    values = parameters.to_dict() | common.to_dict()
    del values["overwrite"]
    part = file.with_name(f".{file.name}.part")
    part.write_text(json.dumps({"task": task, "parameters": values}, indent=2) + "\n", encoding="utf-8")
    os.replace(part, file)
