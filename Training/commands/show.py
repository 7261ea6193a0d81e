"""`meddiff-fm demo` and `meddiff-fm evaluate pictures`: what the model makes of real CT, to be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .evaluate_options import chosen, require_packages

ModelName = Annotated[str | None, typer.Option("--model", metavar="NAME|DIR|HUB_ID", help="Model to show.")]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda[:N]", help="Where the model computes.")]


def demo(
    output: Annotated[Path, typer.Argument(metavar="[OUTPUT_DIR]", help="Folder for the results.")] = Path("demo"),
    model: ModelName = None,
    device: Device = "auto",
    seed: Annotated[int, typer.Option("--seed", help="Seed of the simulated noise and of the model.")] = 0,
) -> None:
    """See it work: a real CT, the same with simulated low dose, and denoised; with a picture."""
    require_packages("astra", "skimage", "matplotlib")
    from ..evaluate.show.demo import run_demo

    run_demo(output, model, device, seed)


def pictures(
    folder: Annotated[Path, typer.Argument(help="Folder that exists, to write TASK.png into.")],
    tasks: Annotated[str | None, typer.Option(help="Which tasks, with commas; without it all but denoising.")] = None,
    model: ModelName = None,
    device: Device = "auto",
) -> None:
    """Make a picture of what each task makes of the repository's real CT, to be looked at."""
    require_packages("matplotlib")
    from MedDiffFMLib.cli.bar import progress_bar
    from MedDiffFMLib.errors import InputError
    from MedDiffFMLib.models.loading import load_model

    from ..evaluate.show.gallery import PICTURES, make_gallery

    if not folder.is_dir():
        raise InputError(f"{folder} does not exist: create the folder first.")
    names = chosen(tasks, tuple(PICTURES), "task") if tasks else list(PICTURES)
    with progress_bar("Pictures") as progress:
        for path, summary in make_gallery(folder, load_model(model, device=device), names, progress):
            print(f"{path}: {summary}", flush=True)
