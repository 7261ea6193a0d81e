"""`meddiff-fm train finetune`: a ControlNet on a locked model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from MedDiffFMLib.errors import InputError

from ..options import DryRun, RunFolder, Store, TrainingDevice, Workers, require_packages
from .running import processes_and_validation, run_trainer, training_cases


def finetune(
    store: Store,
    run: RunFolder,
    base: Annotated[Path, typer.Argument(help="Model folder whose network is locked and copied.")],
    config: Annotated[Path, typer.Option(help="Settings (JSON); crops.target names the input of the ControlNet.")],
    start_from: Annotated[Path | None, typer.Option(help="State of another run whose weights to start from.")] = None,
    device: TrainingDevice = "auto",
    workers: Workers = 1,
    dry_run: DryRun = False,
) -> None:
    """Fine-tune a ControlNet on a model. A run that was stopped goes on where it was, with the same losses."""
    require_packages("blosc2", "tensorboard")
    from ...learn.config import PretrainConfig
    from ...learn.finetune import ControlTrainer

    settings = PretrainConfig.from_json(config)
    if start_from and not start_from.is_file():
        raise InputError(f"{start_from} does not exist: name the state of a finetune run to start from.")
    cases = training_cases(store, run, settings, for_controlnet=True)
    trainer = ControlTrainer(settings, cases, run, base, **processes_and_validation(store, settings, device))
    run_trainer(trainer, start_from, workers, dry_run)
