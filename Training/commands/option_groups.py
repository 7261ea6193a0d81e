"""Groups of options as dataclasses: a command takes a group as one argument, the command line shows its fields."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_type_hints

import typer

from MedDiffFMLib.errors import InputError

from .options import (
    QUALITIES,
    InputsOption,
    ResultOption,
    SamplerSteps,
    Slab,
    check_choice,
    check_file,
    require_packages,
)

if TYPE_CHECKING:
    from MedDiffFMLib.models.loading import Model

    from ..evaluate.cases.case_list import Columns, ListedCase
    from ..evaluate.reports.report import Report


@dataclass(frozen=True)
class SharedOptions:
    """The options of every task's evaluation: data, model, and where the report is written."""

    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Folder with the CT volumes NAME.nii.gz.")
    ] = None
    cases: Annotated[str | None, typer.Option("--cases", metavar="NAME[:REGION],...", help="Which volumes.")] = None
    model: Annotated[str | None, typer.Option("--model", metavar="NAME|DIR|HUB_ID", help="Model to measure.")] = None
    device: Annotated[
        str, typer.Option("--device", metavar="auto|cpu|cuda[:N]|mps", help="Where the model computes.")
    ] = "auto"
    precision: Annotated[
        str, typer.Option("--precision", metavar="auto|float32|bfloat16|float16", help="What the network computes in.")
    ] = "auto"
    seed: Annotated[int, typer.Option("--seed", help="Seed of whatever is drawn.")] = 0
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all measurements there.")] = None
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE.png", help="Draw the table there.")] = None

    def check(self) -> None:
        """InputError, before any work, unless the files of the report can be written."""
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

    def emit(self, report: Report, model: Model | None, **facts: object) -> None:
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


@dataclass(frozen=True)
class SynthesisOptions:
    """Options of synthesis: quality and steps, the grid in mm (0: the CT's own), the middle slab in mm."""

    quality: Annotated[str, typer.Option("--quality", metavar="fast|balanced|paper", help="As of synthesize.")] = (
        "balanced"
    )
    steps: SamplerSteps = None
    spacing: Annotated[
        float, typer.Option("--spacing", min=0, max=10, metavar="MM", help="Grid to measure on; 0: the CT's own.")
    ] = 2.0
    slab: Slab = None

    def check(self) -> None:
        """InputError for a quality that does not exist or a grid that is too fine."""
        check_choice("quality", self.quality, QUALITIES)
        if 0 < self.spacing < 0.5:
            raise InputError(f"--spacing cannot be {self.spacing:g} mm, too fine to compute: give 0.5 to 10 mm, or 0.")

    @property
    def facts(self) -> dict[str, object]:
        """The options by the names that a report has them under."""
        return {"quality": self.quality, "steps": self.steps, "spacing_mm": self.spacing, "slab_mm": self.slab}


@dataclass(frozen=True)
class KeptLesions:
    """Options of real lesions and other methods' images to compare with, of these methods' inputs, and of images that
    are kept for an nnU-Net or segmented by one.
    """

    real_cases: Annotated[
        str | None,
        typer.Option(
            "--real-cases", metavar="NAME[:REGION],...", help='CTs of --data with a lesion\'s mask; "none" for none.'
        ),
    ] = None
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Keep images and masks there, as nnU-Net wants them.")
    ] = None
    real: Annotated[bool, typer.Option("--real", help="Keep the real lesions too.")] = False
    segmentations: Annotated[
        Path | None,
        typer.Option(
            "--segmentations", metavar="DIR", help="What an nnU-Net predicted for the images in --keep: Dice."
        ),
    ] = None
    lesion_labels: Annotated[
        str | None,
        typer.Option("--lesion-labels", metavar="N,...", help="Which labels of the --segmentations are lesion."),
    ] = None
    result: ResultOption = None
    write_inputs: InputsOption = None

    def check(self) -> None:
        """InputError for segmentations without the images that they are of, and for labels without segmentations."""
        if self.segmentations is not None and self.keep is None:
            raise InputError("--segmentations needs the images that were segmented: name their folder with --keep.")
        if self.lesion_labels is not None and self.segmentations is None:
            raise InputError(
                "--lesion-labels says what is lesion in --segmentations, which is missing: name that folder. The "
                "labels of real masks stand in the list of cases, or in labels.json."
            )


@dataclass(frozen=True)
class ListOptions:
    """A list of cases, and the store whose manifest it is."""

    cases_file: Annotated[
        Path | None, typer.Option("--list", metavar="CSV", help="List of cases, or a manifest: its test lines.")
    ] = None
    store: Annotated[
        Path | None, typer.Option("--store", metavar="DIR", help="Store prepared from --list: its test patients.")
    ] = None
    salt: Annotated[str, typer.Option("--salt", help="That of `train prepare`, if it had one.")] = ""

    def check(self) -> None:
        """InputError for a store without the manifest that it was prepared from."""
        if self.cases_file is None and (self.store is not None or self.salt):
            raise InputError("--store and --salt are of a manifest: name it with --list.")

    def read(self, columns: Columns, shared: SharedOptions | None = None) -> list[ListedCase] | None:
        """The cases of the list; None without one. InputError as of `read_case_list`, and if `shared` names cases of a
        folder besides.
        """
        from ..evaluate.cases.case_list import read_case_list

        if self.cases_file is None:
            return None
        if shared is not None and (shared.data or shared.cases):
            raise InputError("--list names all cases: give it, or --data and --cases, not both.")
        return read_case_list(self.cases_file, columns, self.store, self.salt)


def with_option_groups(command: Callable) -> Callable:
    """The Typer command of a function some of whose parameters are option groups (dataclasses with `check`).

    The fields of a group take its place, those of `SharedOptions` come last. All groups are checked before the function
    is called.
    """
    parameters = inspect.signature(command, eval_str=True).parameters.values()
    groups = {p.name: p.annotation for p in parameters if is_dataclass(p.annotation)}
    options: list[inspect.Parameter] = []
    for parameter in sorted(parameters, key=lambda p: p.annotation is SharedOptions):
        group = groups.get(parameter.name)
        options += _options_of(group) if group else [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)]

    def run(**values):
        groups_by_name = {
            name: group(**{f.name: values.pop(f.name) for f in fields(group)}) for name, group in groups.items()
        }
        for group in groups_by_name.values():
            group.check()
        return command(**groups_by_name, **values)

    run.__signature__ = inspect.Signature(options)
    run.__annotations__ = {option.name: option.annotation for option in options}
    run.__doc__, run.__name__ = command.__doc__, command.__name__
    return run


def _options_of(group: type) -> list[inspect.Parameter]:
    """A group's fields as parameters."""
    hints = get_type_hints(group, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    return [inspect.Parameter(f.name, keyword, default=f.default, annotation=hints[f.name]) for f in fields(group)]
