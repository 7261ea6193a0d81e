"""Runs of a trainer by command: their cases and processes, resume, log, lines on the terminal, and stopping."""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from MedDiffFMLib.errors import Cancelled, InputError

if TYPE_CHECKING:
    from ...data.store import Case
    from ...learn.config import PretrainConfig
    from ...learn.log import RunLog
    from ...learn.trainer import Trainer


class SavedTrainer(Protocol):
    """A trainer that counts its updates and saves its state into its run's folder."""

    step: int

    def save(self) -> None: ...


def training_cases(store: Path, run: Path, settings: PretrainConfig, for_controlnet: bool = False) -> list[Case]:
    """The training cases of a store. InputError if there are none, or the run's folder or settings cannot be used."""
    from ...data.crops import drawable_cases
    from ...data.store import open_store

    if run.exists() and not run.is_dir():
        raise InputError(f"{run} is a file: name a folder for the run.")
    if bool(settings.crops.target) != for_controlnet:
        wrong = (
            "must name the input of the ControlNet" if for_controlnet else "is for train finetune alone: leave it out"
        )
        raise InputError(f"crops.target is {settings.crops.target!r} and {wrong}.")
    cases = open_store(store, "train")
    drawable_cases(cases, settings.crops)
    return cases


def processes_and_validation(store: Path, settings: PretrainConfig, device: str) -> dict:
    """The trainer's arguments `processes` and `validation`: where it runs, and the cases that it is validated with."""
    from ...data.store import open_store
    from ...learn.processes import find_processes
    from ...learn.validation import cases_with_target

    processes = find_processes(device)
    try:
        validation = cases_with_target(open_store(store, "validation"), settings.crops.target)
    except InputError:
        validation = []
    if not validation and settings.validate_every and processes.main:
        print("The store has no case to validate with: best.pt and pictures are not made.", flush=True)
    return {"processes": processes, "validation": validation}


def run_trainer(trainer: Trainer, start_from: Path | None, workers: int, dry_run: bool = False) -> None:
    """Run a trainer to its end, from its last state if there is one, with a log. Cancelled if it is asked to stop.

    InputError if its folder belongs to a run of other settings.
    """
    state, main = trainer.folder / "last.pt", trainer.processes.main
    _check_settings(trainer)
    if state.exists():
        trainer.restore(state)
    elif start_from:
        trainer.start_from(start_from)
    if dry_run:
        from ...learn.dry_run import dry_run as measure

        lines = measure(trainer)
        if main:
            print("\n".join(f"{name:34} {value}" for name, value in lines))
        return
    trainer.processes.wait()  # no process may look for a state that the main process is already writing
    _run(trainer, workers)


def _run(trainer: Trainer, workers: int) -> None:
    from ...learn.pretrain import pretrain as loop

    log = _open_log(trainer) if trainer.processes.main else None
    first, skipped = trainer.step + 1, []

    def on_step(row: dict) -> None:
        log(row)
        if not math.isfinite(row["gradient_norm"]):
            skipped.append(row["step"])
        if row["step"] % 20 == 0 or row["step"] in (first, trainer.config.steps):
            print(_line(row, trainer.config.steps, len(skipped)), flush=True)

    with stop_signals() as signals:
        loop(trainer, on_step, lambda: bool(signals), workers, log.show if log else None)
    if log:
        log.close()
    if trainer.step < trainer.config.steps:
        raise Cancelled(f"Stopped and saved at step {trainer.step}: the same command goes on from there.")


def _open_log(trainer: Trainer) -> RunLog:
    """The log of the run, its settings and facts beside it."""
    from ...learn.export import write_facts
    from ...learn.log import RunLog, replace_file

    trainer.folder.mkdir(parents=True, exist_ok=True)
    log = RunLog(trainer.folder, trainer.step)
    replace_file(trainer.folder / "config.json", trainer.config.to_json().encode())
    write_facts(trainer)
    return log


def _line(row: dict, steps: int, skipped: int) -> str:
    """The terminal's line for a step."""
    left_out = f"  {skipped} updates left out, their gradients were not finite" if skipped else ""
    return f"step {row['step']}/{steps}  loss {row['loss']:.4f}  {row['seconds']:.2f} s{left_out}"


def _check_settings(trainer: Trainer) -> None:
    """InputError if the run's folder was begun with other settings than those of its plan."""
    from ...learn.config import PretrainConfig

    path = trainer.folder / "config.json"
    if not path.exists():
        return
    if changed := trainer.config.differences(PretrainConfig.from_json(path)):
        raise InputError(
            f"{trainer.folder} belongs to a run with other settings ({', '.join(changed)}): "
            "name another folder, or go on with that run's config.json."
        )


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """A context with a list of the signals SIGINT and SIGTERM that have come; the step under way is finished first."""
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, frame: received.append(number)) for number in numbers]
    try:
        yield received
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def save_and_stop(trainer: SavedTrainer, signals: list[int]) -> None:
    """Save the trainer's state and raise Cancelled if a signal has come."""
    if signals:
        trainer.save()
        raise Cancelled(f"Stopped and saved at step {trainer.step}: the same command goes on from there.")
