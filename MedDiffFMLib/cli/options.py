"""Options of a task's command, made from its parameters, so that both always agree."""

from __future__ import annotations

import dataclasses
import inspect
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..atomic import check_name, check_place, whole_file
from ..errors import InputError
from ..parameters import ANATOMY_FILE, TASKS, CommonParameters, FileSlot, Parameters, split_values

if TYPE_CHECKING:
    from ..volumes.volume import Volume

log = logging.getLogger("MedDiffFMLib")


@dataclasses.dataclass(frozen=True)
class ShellOptions:
    """The options that only the command line has."""

    json: Path | None = None
    quiet: bool = False
    verbose: bool = False


_JSON_HELP = "Parameters: run from this file, or record them there if it does not exist."
SHELL = {
    "json": (Path | None, None, typer.Option("--json", metavar="FILE", help=_JSON_HELP)),
    "quiet": (bool, False, typer.Option("-q", "--quiet", help="Print nothing but errors.")),
    "verbose": (bool, False, typer.Option("-v", "--verbose", help="Print details, and tracebacks of errors.")),
}


def parameter_option(field: dataclasses.Field) -> inspect.Parameter:
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


def _file(slot: FileSlot) -> inspect.Parameter:
    """A file of a task: an argument, or an option if the task can do without it."""
    kind, annotation = inspect.Parameter.POSITIONAL_OR_KEYWORD, Path
    info = typer.Argument(metavar=slot.name.upper(), help=slot.help)
    default = inspect.Parameter.empty
    if slot.optional:
        kind, annotation, default = inspect.Parameter.KEYWORD_ONLY, Path | None, None
        info = typer.Option(f"--{slot.name.replace('_', '-')}", metavar="FILE", help=slot.help)
    return inspect.Parameter(slot.name, kind, default=default, annotation=Annotated[annotation, info])


def task_command(task: str) -> Callable:
    """The command of a task, for `Typer.command`, made from its parameters and files; their docstring is the help."""
    slots, groups = TASKS[task].files, (TASKS[task], CommonParameters)
    files = sorted((_file(slot) for slot in slots), key=lambda p: p.kind)
    options = [parameter_option(field) for group in groups for field in dataclasses.fields(group)]
    shell = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])
        for name, (kind, default, option) in SHELL.items()
    ]

    def command(**values):
        paths = {slot.name: values.pop(slot.name) for slot in slots}
        shell_options = ShellOptions(*(values.pop(name) for name in SHELL))
        set_verbosity(shell_options)
        check_record(shell_options.json)
        parameters, common = merge(task, values, shell_options.json)
        _run(task, paths, parameters, common, shell_options)
        if shell_options.json and not shell_options.json.exists():
            record(task, parameters, common, shell_options.json)

    command.__signature__ = inspect.Signature([*files, *options, *shell])
    command.__annotations__ = {p.name: p.annotation for p in command.__signature__.parameters.values()}
    command.__doc__, command.__name__ = TASKS[task].__doc__, task.replace("-", "_")
    return command


def _run(task: str, paths: dict, parameters: Parameters, common: CommonParameters, shell: ShellOptions) -> None:
    """Run a task on files, with a progress bar, and print what it made."""
    from ..jobs.job import open_job
    from .bar import progress_bar

    job = open_job(task, paths, parameters, common)
    if shell.json and shell.json.exists():
        warn_of_other_inputs(shell.json, job.inputs)
    with progress_bar(task.replace("-", " ").capitalize(), shell.quiet) as progress:
        report = job.run(progress)
    if not shell.quiet:
        written = ", ".join(str(path) for slot_paths in report.written.values() for path in slot_paths)
        print(f"{report.summary}; wrote {written}")


def set_verbosity(shell: ShellOptions) -> None:
    """Set what is logged: details and tracebacks with -v, only errors with -q."""
    level = logging.DEBUG if shell.verbose else logging.ERROR if shell.quiet else logging.WARNING
    logging.getLogger("MedDiffFMLib").setLevel(level)


def check_record(file: Path | None) -> None:
    """Check before any work that `file` can be read or, if it does not exist, written; else InputError."""
    if file is None:
        return
    check_name(file)
    if file.is_dir() or not file.parent.is_dir():
        raise InputError(f"{file} cannot hold parameters: name a file in a folder that exists.")
    if not file.exists():
        check_place(file)


def merge(task: str, given: dict, file: Path | None) -> tuple[Parameters, CommonParameters]:
    """The task's parameters and the common ones: the command line has precedence over `file`, and `file` over the
    defaults.
    """
    values = read_parameters(task, file) if file is not None and file.exists() else {}
    values |= {name: value for name, value in given.items() if value is not None and value is not False}
    if values.get("anatomy") == ANATOMY_FILE:
        raise InputError(f"{file} was made with an anatomy file that it does not name: give that file with --anatomy.")
    return split_values(TASKS[task], values)


def read_parameters(task: str, file: Path) -> dict:
    """The names and values in a file that `--json` recorded, or in the provenance beside a result. InputError if it is
    neither.
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


def warn_of_other_inputs(file: Path, inputs: list[Volume]) -> None:
    """Warn if `file` is the provenance of a result with other inputs than these: the parameters are used, but the
    result will not be the same.
    """
    from ..jobs.provenance import describe_volume

    document = json.loads(file.read_text(encoding="utf-8"))
    recorded = [document.get("source"), *document.get("further_sources", [])]
    if recorded[0] is None:  # parameters alone
        return
    for before, now in zip(recorded, inputs, strict=False):
        if before != describe_volume(now):
            log.warning(
                "%s is not what %s was made from (its voxels or its grid differ): the same parameters are used, the "
                "result will be another.",
                now.source,
                file,
            )


def record(task: str, parameters: Parameters, common: CommonParameters, file: Path) -> None:
    """Write the parameters for a later `--json`, whole or not at all. Overwriting is a decision of each run, so not
    recorded.
    """
    values = parameters.to_dict() | common.to_dict()
    del values["overwrite"]
    with whole_file(file) as part:
        part.write_text(json.dumps({"task": task, "parameters": values}, indent=2) + "\n", encoding="utf-8")
