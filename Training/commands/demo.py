"""`meddiff-fm demo`: denoising of a real CT, for visual inspection."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ModelDevice, ShownModel, require_packages


def demo(
    output: Annotated[Path, typer.Argument(metavar="[OUTPUT_DIR]", help="Folder for the results.")] = Path("demo"),
    model: ShownModel = None,
    device: ModelDevice = "auto",
    seed: Annotated[int, typer.Option("--seed", help="Seed of the simulated noise and of the model.")] = 0,
) -> None:
    """See it work: a real CT, the same with simulated low dose, and denoised; with a picture."""
    require_packages("astra", "skimage", "matplotlib")
    from ..evaluate.show.demo import run_demo

    run_demo(output, model, device, seed)
