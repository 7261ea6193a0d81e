"""`meddiff-fm train distill`: a model of few steps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import Store, TrainingDevice, Workers, require_packages
from .running import processes_and_validation, run_trainer, training_cases


def distill(
    store: Store,
    run: Annotated[Path, typer.Argument(help="Folder of the rounds: steps-16, steps-8, …, each a run of its own.")],
    model: Annotated[Path, typer.Argument(help="Model folder of the first teacher; its network predicts v.")],
    config: Annotated[Path, typer.Option(help="Settings (JSON); steps are those of a round.")],
    first: Annotated[int, typer.Option("--from", help="Steps of the first teacher's walk.", min=2)] = 32,
    last: Annotated[int, typer.Option("--to", help="Steps of the last student's walk.", min=1)] = 1,
    device: TrainingDevice = "auto",
    workers: Workers = 1,
) -> None:
    """Distill a model to few steps, half as many a round. A stopped run goes on where it was, with the same losses."""
    require_packages("blosc2", "tensorboard")
    from ...learn.config import PretrainConfig
    from ...learn.distill import rounds

    settings = PretrainConfig.from_json(config)
    cases = training_cases(store, run, settings)
    options = processes_and_validation(store, settings, device)
    for trainer in rounds(settings, cases, run, model, (first, last), **options):
        if trainer.processes.main:
            print(f"{2 * trainer.config.distilled_to} steps to {trainer.config.distilled_to}", flush=True)
        run_trainer(trainer, None, workers)
