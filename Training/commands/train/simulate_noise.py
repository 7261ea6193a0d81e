"""`meddiff-fm train simulate-noise`: noise of low dose for the cases of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import require_packages


def simulate_noise(
    store: Annotated[Path, typer.Argument(help="Training store on the scans' own grids (prepare --spacing own).")],
    split: Annotated[str, typer.Option("--split", metavar="train|validation", help="Whose cases.")] = "train",
) -> None:
    """Add simulated noise of low dose to every case, for the refiner `low-dose`; what has it is skipped."""
    require_packages("blosc2", "astra")
    from ...data.low_dose import simulate_noise as run
    from ...data.store import open_store

    for case in open_store(store, split):
        print(f"{case.facts.name}: {'simulated' if run(case) else 'has it, or was given in part'}", flush=True)
