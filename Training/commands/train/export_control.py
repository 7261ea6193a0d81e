"""`meddiff-fm train export-control`: a run's ControlNet into its model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import RunConfig, State


def export_control(
    state: State,
    config: RunConfig,
    model: Annotated[Path, typer.Argument(help="Model folder that the ControlNet was trained with, to write it into.")],
    name: Annotated[str, typer.Argument(help="Its name there: super-resolution, lesion-lung, …")],
) -> None:
    """Write a run's averaged ControlNet into its model folder: float16, checksum."""
    from ...learn import export

    print(export.export_control(export.read_run(state, config), model, name))
