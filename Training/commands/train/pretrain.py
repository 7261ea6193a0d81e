"""`meddiff-fm train pretrain`: the foundation model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from MedDiffFMLib.errors import InputError

from ..options import DryRun, RunFolder, Store, TrainingDevice, Workers, require_packages
from .running import processes_and_validation, run_trainer, training_cases

if TYPE_CHECKING:
    from ...learn.config import PretrainConfig


def pretrain(
    store: Store,
    run: RunFolder,
    config: Annotated[Path | None, typer.Option(help="Settings (JSON). Default: near the paper's, in small.")] = None,
    start_from: Annotated[Path | None, typer.Option(help="State or model folder whose weights to start from.")] = None,
    device: TrainingDevice = "auto",
    workers: Workers = 1,
    dry_run: DryRun = False,
) -> None:
    """Pre-train the foundation model. A run that was stopped goes on where it was, with the same losses.

    On several GPUs: accelerate launch --num_processes 8 -m MedDiffFMTraining pretrain …
    """
    require_packages("blosc2", "tensorboard")
    from ...learn.config import PretrainConfig

    settings = PretrainConfig.from_json(config) if config else PretrainConfig()
    train_network(settings, store, run, start_from, device, workers, dry_run)


def train_network(
    settings: PretrainConfig,
    store: Path,
    run: Path,
    start_from: Path | None,
    device: str,
    workers: int,
    dry_run: bool,
) -> None:
    """Train a network from settings, or from weights. Arguments as of `pretrain`."""
    from ...learn.trainer import Trainer

    if start_from and not start_from.exists():
        raise InputError(f"{start_from} does not exist: name a run's state or a model folder to start from.")
    cases = training_cases(store, run, settings)
    trainer = Trainer(settings, cases, run, **processes_and_validation(store, settings, device))
    run_trainer(trainer, start_from, workers, dry_run)
