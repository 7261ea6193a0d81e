"""`meddiff-fm train dead-leaves`: clean volumes that no scanner made, for the restorer's training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import require_packages


def dead_leaves(
    store: Annotated[Path, typer.Argument(help="Training store to write the volumes into.")],
    count: Annotated[int, typer.Option(min=1, help="Volumes.")] = 150,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Make clean volumes of random shapes with the edges, sizes and HU of anatomy. Those that are there stay."""
    require_packages("blosc2")
    from ...data.dead_leaves import write_volumes

    write_volumes(store, count, seed)
