"""`meddiff-fm train noise-bank`: simulated noise of low dose, to draw from in training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from MedDiffFMLib.errors import InputError

from ..options import require_packages


def noise_bank(
    store: Annotated[Path, typer.Argument(help="Training store on the scans' own grids (prepare --spacing own).")],
    out: Annotated[Path, typer.Argument(help="Folder of the bank; what it has is kept.")],
    cases: Annotated[str | None, typer.Option("--cases", metavar="NAME,...", help="Which cases. Default: all.")] = None,
    slices: Annotated[int, typer.Option("--slices", min=3, help="The most slices of a case.")] = 24,
    draws: Annotated[int, typer.Option("--draws", min=1, help="Scanners and doses for each case.")] = 3,
) -> None:
    """Simulate noise of low dose for the training cases: sharp, with starved rays, for `NoiseBank` to draw from."""
    require_packages("blosc2", "astra")
    from ...data.bank_case import make_bank_case
    from ...data.store import open_store

    whole = {case.facts.name: case for case in open_store(store, "train") if case.coverage is None}
    names = list(whole) if cases is None else [name.strip() for name in cases.split(",") if name.strip()]
    if unknown := [name for name in names if name not in whole]:
        raise InputError(f"{store} has no whole case {unknown[0]!r} for training: name some of {', '.join(whole)}.")
    if out.is_file():
        raise InputError(f"{out} is a file: name a folder for the bank.")
    for draw in range(draws):
        for name in names:
            facts = make_bank_case(whole[name], out, draw, slices)
            said = "is there" if facts is None else f"N₀ {facts.quanta:g}, {facts.starved:.2%} of the rays starved"
            print(f"{name}-{draw}: {said}", flush=True)
