"""`meddiff-fm train export-restorer`: a run's restorer into a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import State


def export_restorer(
    state: State,
    model: Annotated[Path, typer.Argument(help="Model folder to write it into: any, it depends on no other weights.")],
) -> None:
    """Write a run's averaged restorer into a model's folder: float16, checksum, and how it was trained."""
    from ...learn.restore import export_restorer as export

    print(export(state, model))
