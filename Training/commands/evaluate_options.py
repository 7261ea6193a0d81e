"""What every `meddiff-fm evaluate TASK` can be told, and where its report goes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_type_hints

import typer

from MedDiffFMLib.atomic import check_name, check_place
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.extras import advice

if TYPE_CHECKING:
    from MedDiffFMLib.models.loading import Model

    from ..evaluate.reports.report import Report


@dataclass(frozen=True)
class SharedOptions:
    """Options of every task's evaluation. A command that is `with_shared_options` gets them as its first argument."""

    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Folder with the CT volumes NAME.nii.gz.")
    ] = None
    cases: Annotated[str | None, typer.Option("--cases", metavar="NAME[:REGION],...", help="Which volumes.")] = None
    model: Annotated[str | None, typer.Option("--model", metavar="NAME|DIR|HUB_ID", help="Model to measure.")] = None
    device: Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda[:N]", help="Where the model computes.")] = (
        "auto"
    )
    precision: Annotated[
        str, typer.Option("--precision", metavar="auto|float32|bfloat16|float16", help="What the network computes in.")
    ] = "auto"
    seed: Annotated[int, typer.Option("--seed", help="Seed of whatever is drawn.")] = 0
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all measurements there.")] = None
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE.png", help="Draw the table there.")] = None

    def check(self) -> None:
        """Before any work: InputError unless the files of the report can be written."""
        check_file(self.json)
        check_file(self.plot)
        if self.plot:
            require_packages("matplotlib")
        if self.plot and self.plot.suffix != ".png":
            raise InputError(
                f"The plot is written as PNG, but {self.plot} is named otherwise: call it {self.plot}.png."
            )

    def load_model(self) -> Model:
        """The model to measure. InputError as of `models.load_model`."""
        from MedDiffFMLib.models.loading import load_model

        return load_model(self.model, device=self.device, precision=self.precision)

    def give(self, report: Report, model: Model | None, **facts: object) -> None:
        """Print the report; write it, with the model, the seed and further `facts`, where --json and --plot say."""
        from ..evaluate.reports.report import plot, print_report, write_json

        report = replace(report, facts={**self._facts(model), **facts, **report.facts})
        print_report(report)
        if self.json:
            write_json(report, self.json)
        if self.plot:
            plot(report, self.plot)

    def _facts(self, model: Model | None) -> dict[str, object]:
        if model is None:
            return {"model": None, "sha256": None, "seed": self.seed}
        precision = str(model.dtype).removeprefix("torch.")
        return {"model": model.name, "sha256": model.sha256, "precision": precision, "seed": self.seed}


def with_shared_options(command: Callable) -> Callable:
    """The Typer command of `command(shared: SharedOptions, **own options)`: its own options, then the shared ones."""
    hints, shared_hints = (get_type_hints(thing, include_extras=True) for thing in (command, SharedOptions))
    own = list(inspect.signature(command).parameters.values())[1:]
    options = [p.replace(kind=p.KEYWORD_ONLY, annotation=hints[p.name]) for p in own]
    options += [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=shared_hints[f.name])
        for f in fields(SharedOptions)
    ]

    def run(**values):
        shared = SharedOptions(**{f.name: values.pop(f.name) for f in fields(SharedOptions)})
        shared.check()
        return command(shared, **values)

    run.__signature__ = inspect.Signature(options)
    run.__annotations__ = {p.name: p.annotation for p in options}
    run.__doc__, run.__name__ = command.__doc__, command.__name__
    return run


def chosen(text: str, possible: Sequence[str], noun: str) -> list[str]:
    """The names in a comma-separated option; none for "none". InputError for an unknown one."""
    names = [] if text == "none" else [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in possible:
            raise InputError(f"There is no {noun} {name!r}; use {', '.join(possible)}, or none.")
    return names


def check_file(file: Path | None) -> None:
    """InputError if a report is wanted in a file that cannot be written."""
    if file is None:
        return
    check_name(file)
    if file.is_dir() or not file.parent.is_dir():
        raise InputError(f"{file} cannot be written: name a file in a folder that exists.")
    check_place(file)


def require_packages(*names: str) -> None:
    """InputError, before any work, if one of these packages of the extra `training` is missing."""
    if missing := [name for name in names if find_spec(name) is None]:
        raise InputError(advice(missing))
