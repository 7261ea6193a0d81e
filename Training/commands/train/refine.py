"""`meddiff-fm train refine`: a refiner of the foundation model's estimates, trained on pairs."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from MedDiffFMLib.errors import InputError

from ..options import PairsRun, require_packages
from .running import save_and_stop, stop_signals

if TYPE_CHECKING:
    from MedDiffFMLib.models.loading import Model

    from ...learn.refine import RefineConfig, RefineTrainer


def refine(
    store: Annotated[Path, typer.Argument(help="Training store on the scans' own grid, with simulated noise.")],
    run: PairsRun,
    model: Annotated[Path, typer.Argument(help="Model folder whose estimates are to be refined.")],
    config: Annotated[Path, typer.Option(help="Settings (JSON): recipes/small/refine-*.json.")],
    device: Annotated[str, typer.Option(help="cpu, cuda[:N] or auto.")] = "auto",
) -> None:
    """Train a refiner: first its pairs are made, then it is trained. A run that was stopped goes on where it was."""
    require_packages("blosc2")
    from MedDiffFMLib.models.loading import load_model

    from ...data.store import open_store
    from ...learn.refine import RefineConfig, RefineTrainer, make_pairs, read_pair

    settings = RefineConfig.from_json(config)
    loaded, cases = load_model(model, device), open_store(store, "train")
    _same_run(run, settings, loaded)
    files = make_pairs(settings, cases, loaded, run / "pairs")
    trainer = RefineTrainer(settings, [read_pair(file, settings.kind) for file in files], run, loaded.device)
    if (run / "last.pt").exists():
        trainer.restore()
    train(trainer)


def _same_run(run: Path, settings: RefineConfig, model: Model) -> None:
    """Create the run's folder with its settings and its model's name. InputError if it holds other pairs."""
    from ...learn.export import FACTS
    from ...learn.refine import check_base

    record, file = json.loads(json.dumps(dataclasses.asdict(settings))), run / "config.json"
    plan = ("steps", "learning_rate", "warmup", "save_every", "pairs")
    if run.exists() and not run.is_dir():
        raise InputError(f"{run} is a file: name a folder for the run.")
    if file.exists():
        had = json.loads(file.read_text(encoding="utf-8"))
        other = [name for name in record if name not in plan and had.get(name) != record[name]]
        if other:
            raise InputError(f"{run} belongs to a run with other settings ({', '.join(other)}): name another folder.")
    check_base(run, model.folder)
    run.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(record, indent=1), encoding="utf-8")
    facts = {"base": model.name, "base_sha256": model.config["weights"]["sha256"]}
    (run / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")


def train(trainer: RefineTrainer) -> None:
    """Run a trainer to its last update; every `save_every` updates its state is saved and a line printed. Cancelled,
    and saved, if it is asked to stop.
    """
    config, rows, started, first = trainer.config, [], time.monotonic(), trainer.step
    with stop_signals() as signals:
        while trainer.step < config.steps:
            rows.append(trainer.update())
            save_and_stop(trainer, signals)
            if trainer.step % config.save_every and trainer.step < config.steps:
                continue
            trainer.save()
            _report(trainer, rows, (time.monotonic() - started) / (trainer.step - first))
            rows = []


def _report(trainer: RefineTrainer, rows: list[dict], seconds: float) -> None:
    """Log and print the gain of the updates in `rows`. seconds: of an update."""
    steps = trainer.config.steps
    before, after = (sum(row[name] for row in rows) for name in ("before", "loss"))
    gain = 10 * math.log10(before / after) if before and after else 0.0
    row = {"step": trainer.step, "gain_db": round(gain, 3), "seconds": round(seconds, 3)}
    with (trainer.folder / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(row) + "\n")
    left = seconds * (steps - trainer.step) / 60
    print(f"step {trainer.step}/{steps}  gain {gain:.2f} dB  {seconds:.2f} s  {left:.0f} min left", flush=True)
