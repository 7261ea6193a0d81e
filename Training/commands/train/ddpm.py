"""`meddiff-fm train baseline ddpm`: the plain DDPM, a foundation model with neither levels nor position."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from MedDiffFMLib.errors import InputError

from ..options import DryRun, RunFolder, Store, TrainingDevice, Workers, require_packages
from .pretrain import train_network


def ddpm(
    store: Store,
    run: RunFolder,
    config: Annotated[
        Path | None, typer.Option(help="Settings (JSON): recipes/base/ablation-patch.json. Default: those, in small.")
    ] = None,
    device: TrainingDevice = "auto",
    workers: Workers = 1,
    dry_run: DryRun = False,
) -> None:
    """Train a plain DDPM, the paper's baseline of synthesis: patches alone, without position. By the same trainer as
    `train pretrain`; what it makes is exported and evaluated as any model.
    """
    require_packages("blosc2", "tensorboard")
    from ...learn.config import PretrainConfig, is_plain, plain_ddpm

    settings = PretrainConfig.from_json(config) if config else plain_ddpm()
    if not is_plain(settings):
        raise InputError(
            f"{config} is no plain DDPM: set network.position to none and crops.levels to [0, 0, 1, 0], or use train "
            "pretrain."
        )
    train_network(settings, store, run, None, device, workers, dry_run)
