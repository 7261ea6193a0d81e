"""`meddiff-fm train baseline red-cnn`: the baseline of low-dose denoising."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from MedDiffFMLib.errors import InputError

from ..options import require_packages
from .running import save_and_stop, stop_signals

if TYPE_CHECKING:
    from ...learn.red_cnn import RedCnnTrainer


def red_cnn(
    store: Annotated[Path, typer.Argument(help="Training store on the scans' own grids, with simulated noise.")],
    run: Annotated[Path, typer.Argument(help="Folder of the run: settings, state, weights.")],
    config: Annotated[
        Path | None, typer.Option(help="Settings (JSON), recipes/base/red-cnn.json; without it those.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda[:N] or auto.")] = "auto",
) -> None:
    """Train RED-CNN (Chen et al. 2017) to denoise, to be measured beside the model. A stopped run goes on."""
    require_packages("blosc2")
    from MedDiffFMLib.models.device import choose_device

    from ...data.store import open_store
    from ...learn.red_cnn import RedCnnConfig, RedCnnTrainer, start_run

    if run.exists() and not run.is_dir():
        raise InputError(f"{run} is a file: name a folder for the run.")
    settings = RedCnnConfig.from_json(config) if config else RedCnnConfig()
    trainer = RedCnnTrainer(settings, open_store(store, "train"), run, choose_device(device))
    start_run(settings, run)
    if (run / "last.pt").exists():
        trainer.restore()
    train(trainer)


def train(trainer: RedCnnTrainer) -> None:
    """Run a trainer to its last update; every `save_every` updates its state is saved and a line printed. Cancelled,
    and saved, if it is asked to stop.
    """
    started, first, steps = time.monotonic(), trainer.step, trainer.config.steps
    losses: list[float] = []
    with stop_signals() as signals:
        while trainer.step < steps:
            losses.append(trainer.update())
            save_and_stop(trainer, signals)
            if trainer.step % trainer.config.save_every and trainer.step < steps:
                continue
            trainer.save()
            seconds = (time.monotonic() - started) / (trainer.step - first)
            left, mean = seconds * (steps - trainer.step) / 60, sum(losses) / len(losses)
            print(f"step {trainer.step}/{steps}  loss {mean:.3g}  {seconds:.2f} s  {left:.0f} min left", flush=True)
            losses = []
