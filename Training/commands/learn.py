"""`meddiff-fm train pretrain | finetune | distill`: the runs."""

from __future__ import annotations

import math
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from MedDiffFMLib.errors import Cancelled, InputError

from .evaluate_options import require_packages

if TYPE_CHECKING:
    from ..learn.trainer import Trainer

Store = Annotated[Path, typer.Argument(help="Training store, written by `prepare`.")]
Run = Annotated[Path, typer.Argument(help="Folder of the run: states, log and TensorBoard.")]
Device = Annotated[str, typer.Option(help="cpu, cuda[:N] or auto; several processes take a GPU each.")]
Workers = Annotated[int, typer.Option(help="Processes that draw crops ahead, for each that trains.", min=0)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print sizes, memory and time of a step; write nothing.")]


def pretrain(
    store: Store,
    run: Run,
    config: Annotated[Path | None, typer.Option(help="Settings (JSON). Default: near the paper's, in small.")] = None,
    start_from: Annotated[Path | None, typer.Option(help="State or model folder whose weights to start from.")] = None,
    device: Device = "auto",
    workers: Workers = 1,
    dry_run: DryRun = False,
) -> None:
    """Pre-train the foundation model. A run that was stopped goes on where it was, with the same losses.

    On several GPUs: accelerate launch --num_processes 8 -m MedDiffFMTraining pretrain …
    """
    require_packages("blosc2", "tensorboard")
    from ..learn.config import PretrainConfig
    from ..learn.trainer import Trainer

    settings = PretrainConfig.from_json(config) if config else PretrainConfig()
    if start_from and not start_from.exists():
        raise InputError(f"{start_from} does not exist: name a run's state or a model folder to start from.")
    trainer = Trainer(settings, *_data(store, run, settings), **_place(store, settings, device))
    train(trainer, start_from, workers, dry_run)


def finetune(
    store: Store,
    run: Run,
    base: Annotated[Path, typer.Argument(help="Model folder whose network is locked and copied.")],
    config: Annotated[Path, typer.Option(help="Settings (JSON); crops.target says what the ControlNet is told.")],
    start_from: Annotated[Path | None, typer.Option(help="State of another run whose weights to start from.")] = None,
    device: Device = "auto",
    workers: Workers = 1,
    dry_run: DryRun = False,
) -> None:
    """Fine-tune a ControlNet on a model. A run that was stopped goes on where it was, with the same losses."""
    require_packages("blosc2", "tensorboard")
    from ..learn.config import PretrainConfig
    from ..learn.finetune import ControlTrainer

    settings = PretrainConfig.from_json(config)
    if start_from and not start_from.is_file():
        raise InputError(f"{start_from} does not exist: name the state of a finetune run to start from.")
    trainer = ControlTrainer(
        settings, *_data(store, run, settings, control=True), base, **_place(store, settings, device)
    )
    train(trainer, start_from, workers, dry_run)


def distill(
    store: Store,
    run: Annotated[Path, typer.Argument(help="Folder of the rounds: steps-16, steps-8, …, each a run of its own.")],
    model: Annotated[Path, typer.Argument(help="Model folder of the first teacher; its network tells v.")],
    config: Annotated[Path, typer.Option(help="Settings (JSON); steps are those of a round.")],
    first: Annotated[int, typer.Option("--from", help="Steps of the first teacher's walk.", min=2)] = 32,
    last: Annotated[int, typer.Option("--to", help="Steps of the last student's walk.", min=1)] = 1,
    device: Device = "auto",
    workers: Workers = 1,
) -> None:
    """Distil a model to few steps, half as many a round. A stopped run goes on where it was, with the same losses."""
    require_packages("blosc2", "tensorboard")
    from ..learn.config import PretrainConfig
    from ..learn.distill import rounds

    settings = PretrainConfig.from_json(config)
    cases, place = _data(store, run, settings)[0], _place(store, settings, device)
    for trainer in rounds(settings, cases, run, model, (first, last), **place):
        if trainer.processes.main:
            print(f"{2 * trainer.config.distilled_to} steps to {trainer.config.distilled_to}", flush=True)
        train(trainer, None, workers)


def _data(store: Path, run: Path, settings, control: bool = False) -> tuple[list, Path]:
    """The training cases and the run's folder. InputError if one cannot be used."""
    from ..data.crops import drawn_from
    from ..data.store import open_store

    if run.exists() and not run.is_dir():
        raise InputError(f"{run} is a file: name a folder for the run.")
    if bool(settings.crops.target) != control:
        wrong = "must say what the ControlNet is told" if control else "is for train finetune alone: leave it out"
        raise InputError(f"crops.target is {settings.crops.target!r} and {wrong}.")
    cases = open_store(store, "train")
    drawn_from(cases, settings.crops)
    return cases, run


def _place(store: Path, settings, device: str) -> dict:
    """What a trainer is told of where it runs and what it is validated with."""
    from ..data.store import open_store
    from ..learn.processes import find_processes
    from ..learn.validation import cases_with_target

    processes = find_processes(device)
    try:
        validation = cases_with_target(open_store(store, "validation"), settings.crops.target)
    except InputError:
        validation = []
    if not validation and settings.validate_every and processes.main:
        print("The store has no case to validate with: best.pt and pictures are not made.", flush=True)
    return {"processes": processes, "validation": validation}


def train(trainer: Trainer, start_from: Path | None, workers: int, dry_run: bool = False) -> None:
    """Run a trainer to its end, from its last state if there is one, with a log; Cancelled if it is asked to stop.

    InputError if its folder belongs to a run of other settings.
    """
    state, main = trainer.folder / "last.pt", trainer.processes.main
    _check_settings(trainer)
    if state.exists():
        trainer.restore(state)
    elif start_from:
        trainer.start_from(start_from)
    if dry_run:
        from ..learn.dry_run import dry_run as measure

        lines = measure(trainer)
        if main:
            print("\n".join(f"{name:34} {value}" for name, value in lines))
        return
    trainer.processes.wait()  # nobody looks for a state that the main process is already writing
    _run(trainer, workers)


def _run(trainer: Trainer, workers: int) -> None:
    from ..learn.export import write_facts
    from ..learn.log import RunLog, replace_file
    from ..learn.pretrain import pretrain as loop

    log = None
    if trainer.processes.main:
        trainer.folder.mkdir(parents=True, exist_ok=True)
        log = RunLog(trainer.folder, trainer.step)
        replace_file(trainer.folder / "config.json", trainer.config.to_json().encode())
        write_facts(trainer)
    stop, began, skipped = _stop_on_signal(), trainer.step, []

    def report(row: dict) -> None:
        log(row)
        if not math.isfinite(row["gradient_norm"]):
            skipped.append(row["step"])
        if row["step"] % 20 == 0 or row["step"] in (began + 1, trainer.config.steps):
            steps = trainer.config.steps
            said = f"  {len(skipped)} updates left out, their gradients were not finite" if skipped else ""
            print(f"step {row['step']}/{steps}  loss {row['loss']:.4f}  {row['seconds']:.2f} s{said}", flush=True)

    loop(trainer, report, lambda: bool(stop), workers, log.show if log else None)
    if log:
        log.close()
    if trainer.step < trainer.config.steps:
        raise Cancelled(f"Stopped and saved at step {trainer.step}: the same command goes on from there.")


def _check_settings(trainer: Trainer) -> None:
    """InputError if the run's folder was begun with other settings than those of its plan."""
    from ..learn.config import PretrainConfig

    path = trainer.folder / "config.json"
    if not path.exists():
        return
    if changed := trainer.config.differences(PretrainConfig.from_json(path)):
        raise InputError(
            f"{trainer.folder} belongs to a run with other settings ({', '.join(changed)}): "
            "name another folder, or go on with that run's config.json."
        )


def _stop_on_signal() -> list[int]:
    """A list that fills when the run is asked to stop; the step under way is finished and saved."""
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, frame: asked.append(received))
    return asked
