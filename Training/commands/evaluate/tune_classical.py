"""`meddiff-fm evaluate tune-classical`: the settings of the classical tools, on validation patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import CLASSICAL, Cache, Tools, chosen, require_packages


def tune_classical(
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder with the validation volumes.")],
    tools: Tools = "bm3d,nlm,tv,curvature",
    slices: Annotated[int, typer.Option("--slices", min=2, help="Central axial slices.")] = 8,
    cache: Cache = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the simulated noise.")] = 0,
) -> None:
    """Choose the classical tools' settings on the validation patients: the best mean PSNR gain of a small grid."""
    require_packages("astra", "skimage", "bm3d")
    from ...evaluate.cases.volumes import DENOISING, Dose, find_volume, load_case

    names = chosen(tools, CLASSICAL, "tool")
    files = {name: find_volume(data, name) for name in DENOISING}
    from ...evaluate.baselines.tune import tune

    dose = Dose(seed=seed)
    cases = [load_case(files[name], region, slices, dose, cache) for name, region in DENOISING.items()]
    print("PSNR gain (dB) on", ", ".join(DENOISING))
    for tool in names:
        best = tune(tool, cases, lambda settings, gains, tool=tool: print(_line(tool, settings, gains), flush=True))
        print(f"{tool}: best {best}")


def _line(tool: str, settings: dict, gains: list[float]) -> str:
    values = ", ".join(f"{name} {value:g}" for name, value in settings.items())
    return (
        f"{tool}, {values}: " + ", ".join(f"{gain:+.2f}" for gain in gains) + f"; mean {sum(gains) / len(gains):+.2f}"
    )
