"""`meddiff-fm train export-refiner`: a run's refiner into its model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import PairsRun


def export_refiner(
    run: PairsRun,
    model: Annotated[Path, typer.Argument(help="Model folder that the run was made with, to write it into.")],
) -> None:
    """Write a run's averaged refiner into its model's folder: float16, checksum."""
    from ...learn.refine import export_refiner as export

    print(export(run, model))
