"""`meddiff-fm evaluate pictures`: what each task makes of a real CT, to be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import ModelDevice, ShownModel, chosen, require_packages


def pictures(
    folder: Annotated[Path, typer.Argument(help="Folder that exists, to write TASK.png into.")],
    tasks: Annotated[str | None, typer.Option(help="Which tasks, with commas; without it all but denoising.")] = None,
    model: ShownModel = None,
    device: ModelDevice = "auto",
) -> None:
    """Make a picture of what each task makes of the repository's real CT, to be looked at."""
    require_packages("matplotlib")
    from MedDiffFMLib.cli.bar import progress_bar
    from MedDiffFMLib.errors import InputError
    from MedDiffFMLib.models.loading import load_model

    from ...evaluate.show.gallery import PICTURES, make_gallery

    if not folder.is_dir():
        raise InputError(f"{folder} does not exist: create the folder first.")
    names = chosen(tasks, tuple(PICTURES), "task") if tasks else list(PICTURES)
    with progress_bar("Pictures") as progress:
        for path, summary in make_gallery(folder, load_model(model, device=device), names, progress):
            print(f"{path}: {summary}", flush=True)
