"""`meddiff-fm batch TASK INPUT_DIR OUTPUT_DIR`: a command a task, made from its parameters as its own command is."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import Cancelled, UsageError
from ..parameters import TASKS, CommonParameters, FileSlot, Parameters
from .bar import in_time, progress_bar
from .events import EVENTS, batch_events, watch_stdin
from .options import SHELL, ShellOptions, check_record, merge, parameter_option, record, set_verbosity

if TYPE_CHECKING:
    from ..batch.batch import Batch, Runner

_HELP = "A task over a folder of CTs: resumable, with a table of what was done, skipped and failed."
_INPUT = "Folder with the CTs: files, and subfolders of DICOM slices."
_OUTPUT = "Folder for the results, named like the inputs; status.csv there records the outcome of each."
_WORKERS = "CTs at once on this computer; they share its cores. Default: 1."
_SCHEDULER = "Compute on a Dask cluster that sees the same files, for example tcp://HOST:8786."


def batch_app() -> typer.Typer:
    """`meddiff-fm batch` with a command for every task."""
    app = typer.Typer(help=_HELP, no_args_is_help=True)
    for task in TASKS:
        app.command(task, help=f"Over a folder of CTs: {TASKS[task].__doc__}")(batch_command(task))
    return app


def batch_command(task: str) -> Callable:
    """The command of a batch of a task, for `Typer.command`."""
    slots = further_files(task)

    def command(**values):
        source, target = values.pop("input_dir"), values.pop("output_dir")
        workers, scheduler = values.pop("workers"), values.pop("scheduler")
        events = values.pop("events")
        if events:
            watch_stdin()
        shell = ShellOptions(*(values.pop(name) for name in SHELL))
        patterns = {s.name: text for s in slots if (text := values.pop(s.name)) is not None}
        set_verbosity(shell)
        check_record(shell.json)
        parameters, common = merge(task, values, shell.json)
        batch = _plan_batch(task, source, target, patterns)
        runner = _runner(workers, scheduler, common)
        if shell.json and not shell.json.exists():
            record(task, parameters, common, shell.json)
        _run(batch, runner, parameters, common, shell, events)

    command.__signature__ = _signature(task, slots)
    command.__annotations__ = {p.name: p.annotation for p in command.__signature__.parameters.values()}
    command.__name__ = task.replace("-", "_")
    return command


def _signature(task: str, slots: list[FileSlot]) -> inspect.Signature:
    """The arguments and options of a batch of a task, as Typer reads them. slots: the files given by pattern."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    folders = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Annotated[Path, argument])
        for name, argument in (
            ("input_dir", typer.Argument(metavar="INPUT_DIR", help=_INPUT)),
            ("output_dir", typer.Argument(metavar="OUTPUT_DIR", help=_OUTPUT)),
        )
    ]
    options = [parameter_option(f) for group in (TASKS[task], CommonParameters) for f in dataclasses.fields(group)]
    options_of_batch = {
        "workers": (int | None, None, typer.Option("--workers", metavar="N", min=1, help=_WORKERS)),
        "scheduler": (str | None, None, typer.Option("--scheduler", metavar="ADDRESS", help=_SCHEDULER)),
        "events": (bool, False, EVENTS),
    }
    rest = [
        inspect.Parameter(name, keyword, default=default, annotation=Annotated[kind, option])
        for name, (kind, default, option) in (options_of_batch | SHELL).items()
    ]
    return inspect.Signature([*folders, *map(_pattern, slots), *options, *rest])


def further_files(task: str) -> list[FileSlot]:
    """The task's files but for the first input and the first output, which the folders give."""
    slots = TASKS[task].files
    first = (next(s for s in slots if not s.output), next(s for s in slots if s.output))
    return [slot for slot in slots if slot not in first]


def _pattern(slot: FileSlot) -> inspect.Parameter:
    """The option for a file of every input, given by a pattern."""
    help = f"{slot.help} A path with {{name}} in place of the input's name."
    option = typer.Option(f"--{slot.name.replace('_', '-')}", metavar="PATTERN", help=help)
    annotation = Annotated[str | None, option]
    return inspect.Parameter(slot.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _plan_batch(task: str, source: Path, target: Path, patterns: dict[str, str]) -> Batch:
    """The batch with its entries. UsageError if the folders or patterns cannot be used."""
    from ..batch.batch import Batch, check_patterns, plan

    check_patterns(task, patterns)
    if target.resolve() == source.resolve():
        raise UsageError(f"{target} holds the inputs: name another folder for the results.")
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file: name a folder for the results.")
    return Batch(task, plan(task, source, target, patterns), target)


def _runner(workers: int | None, scheduler: str | None, common: CommonParameters) -> Runner:
    """The runner of a batch, on this computer or on a cluster. What would fail for every CT, a missing model or
    cluster, is refused here.
    """
    if scheduler is not None:
        if workers is not None:
            raise UsageError("--workers is for this computer and --scheduler for a cluster: give one of them.")
        from ..batch.dask import on_cluster

        return on_cluster(scheduler)
    from ..batch.local import on_this_computer
    from ..models.store import find_model

    find_model(common.model)
    return on_this_computer(workers or 1)


def _run(
    batch: Batch, runner: Runner, parameters: Parameters, common: CommonParameters, shell: ShellOptions, events: bool
) -> None:
    """Run a batch to its end. Exit code 1 if any of it failed."""
    try:
        with batch_events(batch) if events else progress_bar(f"Batch {batch.task}", shell.quiet, in_words) as on_change:
            batch.run(parameters, common, runner, on_change)
    except Cancelled:
        raise Cancelled(f"Cancelled: {in_words(batch)}. Run the same command again to go on.") from None
    for entry in batch.entries:
        if entry.status in ("failed", "left out"):
            prefix = "" if entry.status == "failed" else "left out, "
            print(f"{entry.name}: {prefix}{entry.reason}", file=sys.stderr)
    if not shell.quiet and not events:
        print(f"{in_words(batch)}; details in {batch.table}")
    if failed := batch.count["failed"]:
        print(f"meddiff-fm: {failed} of {batch.size} failed.", file=sys.stderr)
        raise typer.Exit(1)


def in_words(batch: Batch) -> str:
    """The state of a batch in words: for example `12 of 100 done, 3 skipped, 1 failed, 1:05:00 left`."""
    count = batch.count
    parts = [f"{count['done']} of {batch.size} done"]
    parts += [f"{count[status]} {status}" for status in ("skipped", "failed", "left out") if count[status]]
    left = batch.seconds_left if count["waiting"] else None
    return ", ".join(parts + ([f"{in_time(left)} left"] if left is not None else []))
