"""`meddiff-fm evaluate distillation | condition`: whether few steps are enough, and whether a ControlNet listens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from MedDiffFMLib.errors import InputError

from .evaluate_options import check_file, require_packages

Store = Annotated[Path, typer.Argument(help="Training store, written by `prepare`.")]
Split = Annotated[str, typer.Option(help="Its cases: validation, or train.")]
Region = Annotated[str | None, typer.Option(help="Only cases of head-neck, chest or abdomen.")]
Crops = Annotated[int, typer.Option(help="How many crops.", min=1)]
Patch = Annotated[int, typer.Option(help="Their voxels along each axis.", min=16)]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda[:N]", help="Where the model computes.")]
Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write every measurement there.")]


def evaluate_distillation(
    store: Store,
    teacher: Annotated[Path, typer.Argument(help="Model folder of the teacher.")],
    students: Annotated[list[Path], typer.Argument(help="Model folders of students, by `train export`.")],
    split: Split = "validation",
    region: Region = None,
    crops: Crops = 12,
    patch: Patch = 32,
    seed: Annotated[int, typer.Option(help="Seed of the crops and their noise.")] = 0,
    device: Device = "auto",
    json_file: Json = None,
) -> None:
    """Compare distilled models of few steps with their teacher at the same steps and at 50."""
    require_packages("blosc2")
    from MedDiffFMLib.models.loading import load_model

    from ..data.crops import CropConfig
    from ..evaluate.probes.crops import draw_samples
    from ..evaluate.probes.distillation import compare_steps, steps_of

    _check(patch, json_file)
    loaded = [load_model(folder, device=device) for folder in (teacher, *students)]
    for model in loaded[1:]:
        if not steps_of(model):
            raise InputError(f"{model.folder} was not distilled: name folders exported from `train distill`.")
    config = CropConfig(patch=(patch,) * 3, keep_organs=1.0, keep_position=1.0)
    samples = draw_samples(_cases(store, split, region), config, crops, seed)
    _show([compare_steps(loaded[0], loaded[1:], samples, _tell)], json_file)


def evaluate_condition(
    store: Store,
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    control: Annotated[str, typer.Argument(help="Its ControlNet: super-resolution, lesion-lung, …")],
    split: Split = "validation",
    region: Region = None,
    crops: Crops = 12,
    patch: Patch = 32,
    steps: Annotated[int, typer.Option(help="Steps of DDIM.", min=1, max=500)] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the crops and their noise.")] = 0,
    device: Device = "auto",
    json_file: Json = None,
) -> None:
    """Measure whether a ControlNet listens: what another condition changes, beside what other noise changes."""
    require_packages("blosc2")
    from MedDiffFMLib.models.controlnet_folder import load_control
    from MedDiffFMLib.models.loading import load_model

    from ..data.crops import CropConfig
    from ..evaluate.probes.controlnet_response import check_condition
    from ..evaluate.probes.crops import draw_samples

    _check(patch, json_file)
    loaded = load_model(model, device=device)
    network = load_control(loaded, control)
    if network.config.direct_t is not None:
        raise InputError(
            f"The ControlNet {control} makes its result in one evaluation and not from noise: measure it with "
            "meddiff-fm evaluate super-resolve."
        )
    config = CropConfig(
        (patch,) * 3, (0, 0, 1, 1), keep_organs=1.0, keep_position=1.0, target=network.config.kind, around_lesion=1.0
    )
    samples = draw_samples(_cases(store, split, region), config, crops, seed)
    _show(check_condition(loaded, network, samples, steps, _tell), json_file)


def _check(patch: int, json_file: Path | None) -> None:
    """Before any work: InputError unless the network can halve the crops and the report can be written."""
    if patch % 8:
        raise InputError(f"--patch cannot be {patch}: give a multiple of 8, as the network halves it three times.")
    check_file(json_file)


def _tell(line: str) -> None:
    typer.echo(line, err=True)


def _cases(store: Path, split: str, region: str | None) -> list:

    from ..data.store import open_store

    cases = [case for case in open_store(store, split) if region in (None, case.facts.region)]
    if not cases:
        raise InputError(f"{store} has no case of {region} in {split}: choose another region or split.")
    return cases


def _show(reports, json_file: Path | None) -> None:
    """Print the tables; the JSON is of all of them, FILE for one, FILE's name with each one's for more."""
    from ..evaluate.reports.report import print_report, write_json

    for report in reports:
        print_report(report)
        if json_file:
            file = json_file if len(reports) == 1 else json_file.with_stem(f"{json_file.stem}-{report.task}")
            write_json(report, file)
