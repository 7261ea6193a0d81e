"""`meddiff-fm train restore`: the restorer, trained on clean CT with noise added."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from MedDiffFMLib.errors import InputError

from ..options import RunFolder, Store, TrainingDevice, Workers, require_packages
from .running import save_and_stop, stop_signals

if TYPE_CHECKING:
    from ...data.noisy_patches import NoiseSource
    from ...evaluate.probes.restorer_gains import ValidationPart
    from ...learn.restore import RestoreTrainer
    from ...learn.restore_config import RestoreConfig


FILTERED = 0.25  # share of patches whose noise is not from the bank, but filtered white noise


def restore(
    store: Store,
    run: RunFolder,
    config: Annotated[Path, typer.Option(help="Settings (JSON): recipes/small/restore.json.")],
    leaves: Annotated[Path, typer.Option(help="Store of clean volumes, written by dead-leaves.")],
    noise: Annotated[Path | None, typer.Option(help="Bank of noise; without one all is filtered white noise.")] = None,
    start_from: Annotated[Path | None, typer.Option(help="State of another run, to begin with its weights.")] = None,
    device: TrainingDevice = "auto",
    workers: Workers = 1,
) -> None:
    """Train a restorer: it removes noise from all tissues. A run that was stopped goes on where it was."""
    require_packages("blosc2")
    from MedDiffFMLib.models.device import choose_device

    from ...data.noisy_patches import PatchSource
    from ...data.store import open_store
    from ...evaluate.probes.restorer_gains import open_parts
    from ...learn.restore import RestoreTrainer, training_scans
    from ...learn.restore_config import RestoreConfig

    settings = RestoreConfig.from_json(config)
    scans = training_scans(open_store(store, "train"), settings)
    source = PatchSource(scans, open_store(leaves, "train"), _noise(noise))
    _same_run(run, settings)
    trainer = RestoreTrainer(settings, run, choose_device(device))
    if (run / "last.pt").exists():
        trainer.restore()
    elif start_from:
        trainer.start_from(start_from)
    parts = open_parts(open_store(store, "validation"), run / "validation")
    train(trainer, source, parts, workers)


def _noise(folder: Path | None) -> NoiseSource:
    from ...data.spectral_noise import SpectralNoise

    if folder is None:
        return SpectralNoise()
    from ...data.noise_bank import NoiseBank
    from ...data.noisy_patches import MixedNoise

    return MixedNoise(NoiseBank(folder), SpectralNoise(), FILTERED)


def _same_run(run: Path, settings: RestoreConfig) -> None:
    """Create the run's folder with its settings. InputError if it holds a run with others."""
    from ...learn.restore_config import PLAN

    record, file = settings.to_dict(), run / "config.json"
    if run.exists() and not run.is_dir():
        raise InputError(f"{run} is a file: name a folder for the run.")
    if file.exists():
        had = json.loads(file.read_text(encoding="utf-8"))
        other = [name for name in record if name not in PLAN and had.get(name) != record[name]]
        if other:
            raise InputError(f"{run} belongs to a run with other settings ({', '.join(other)}): name another folder.")
    run.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(record, indent=1), encoding="utf-8")


def train(trainer: RestoreTrainer, source: object, parts: list[ValidationPart], workers: int) -> None:
    """Run a trainer to its last update; its state is saved and measured on validation every so many updates. Cancelled,
    and saved, if it is asked to stop.
    """
    from ...learn.log import RunLog

    log, config, rows = RunLog(trainer.folder, trainer.step), trainer.config, []
    started, first, cpu = time.monotonic(), trainer.step, time.process_time()
    with stop_signals() as signals:
        for batch in trainer.batches(source, workers):
            rows.append(trainer.update(batch))
            save_and_stop(trainer, signals)
            if trainer.step % config.save_every and trainer.step < config.steps:
                continue
            trainer.save()
            done = trainer.step - first
            row = {name: sum(one[name] for one in rows) / len(rows) for name in rows[0]}
            row |= {"step": trainer.step, "lr": trainer.learning_rate(), "seconds": (time.monotonic() - started) / done}
            row["cpu_seconds"] = (time.process_time() - cpu) / done  # of this process alone
            rows = []
            if trainer.step % config.validate_every == 0 or trainer.step == config.steps:
                row |= _measured(trainer, parts)
            log({name: round(value, 6) for name, value in row.items()})
            print(_line(trainer, row), flush=True)
    log.close()


def _measured(trainer: RestoreTrainer, parts: list[ValidationPart]) -> dict[str, float]:
    """The average's gains on validation, in dB, and non-local means' mean; the state is kept if it is the best."""
    from ...evaluate.probes.restorer_gains import non_local_means_gains, restorer_gains

    if not parts:
        return {}
    file = trainer.folder / "best.json"
    means = non_local_means_gains(parts, trainer.folder / "non_local_means.json")
    gains = restorer_gains(parts, trainer.average.module)
    if not file.exists() or json.loads(file.read_text(encoding="utf-8"))["mean"] < gains["mean"]:
        trainer.save("best.pt")
        file.write_text(json.dumps({"step": trainer.step} | gains, indent=1), encoding="utf-8")
    return {f"gain/{name}": value for name, value in gains.items()} | {"gain/non-local means": means["mean"]}


def _line(trainer: RestoreTrainer, row: dict[str, float]) -> str:
    minutes = row["seconds"] * (trainer.config.steps - trainer.step) / 60
    gain = f"  gain {row['gain/mean']:.2f} dB" if "gain/mean" in row else ""
    return f"step {trainer.step}/{trainer.config.steps}  left {row['left']:.3f}{gain}  {minutes:.0f} min left"
