"""`meddiff-fm train pretrain | finetune | distill`: the runs."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from MedDiffFMLib.errors import Cancelled, InputError


def pretrain(
    store: Annotated[Path, typer.Argument(help="Training store, written by `prepare`.")],
    run: Annotated[Path, typer.Argument(help="Folder of the run: state, log and TensorBoard.")],
    config: Annotated[Path | None, typer.Option(help="Settings (JSON); without it the paper's.")] = None,
    start_from: Annotated[Path | None, typer.Option(help="State or model folder whose weights to start from.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda[:N] or auto.")] = "cpu",
    workers: Annotated[int, typer.Option(help="Processes that draw crops ahead.", min=0)] = 1,
) -> None:
    """Pre-train the foundation model. A run that was stopped goes on where it was, with the same losses."""
    from MedDiffFMLib.models import choose_device

    from ..data.store import open_store
    from ..learn.config import PretrainConfig
    from ..learn.pretrain import Trainer

    settings = PretrainConfig.from_json(config) if config else PretrainConfig()
    if start_from and not start_from.exists():
        raise InputError(f"{start_from} does not exist: name a run's state or a model folder to start from.")
    trainer = Trainer(settings, open_store(store, "train"), run, str(choose_device(device)))
    if start_from and not (run / "last.pt").exists():
        trainer.start_from(start_from)
    _train(trainer, run, workers)


def finetune(
    store: Annotated[Path, typer.Argument(help="Training store, written by `prepare`.")],
    run: Annotated[Path, typer.Argument(help="Folder of the run: state, log and TensorBoard.")],
    base: Annotated[Path, typer.Argument(help="Model folder whose network is locked and copied.")],
    config: Annotated[Path, typer.Option(help="Settings (JSON); crops.target says what the ControlNet is told.")],
    start_from: Annotated[Path | None, typer.Option(help="State of another run whose weights to start from.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda[:N] or auto.")] = "cpu",
    workers: Annotated[int, typer.Option(help="Processes that draw crops ahead.", min=0)] = 1,
) -> None:
    """Fine-tune a ControlNet on a model. A run that was stopped goes on where it was, with the same losses."""
    from MedDiffFMLib.models import choose_device

    from ..data.store import open_store
    from ..learn.config import PretrainConfig
    from ..learn.finetune import ControlTrainer

    settings = PretrainConfig.from_json(config)
    if start_from and not start_from.is_file():
        raise InputError(f"{start_from} does not exist: name the state of a finetune run to start from.")
    trainer = ControlTrainer(settings, open_store(store, "train"), run, base, str(choose_device(device)))
    if start_from and not (run / "last.pt").exists():
        trainer.start_from(start_from)
    _train(trainer, run, workers)


def distill(
    store: Annotated[Path, typer.Argument(help="Training store, written by `prepare`.")],
    run: Annotated[Path, typer.Argument(help="Folder of the rounds: steps-16, steps-8, …, each a run of its own.")],
    model: Annotated[Path, typer.Argument(help="Model folder of the first teacher; its network tells v.")],
    config: Annotated[Path, typer.Option(help="Settings (JSON); steps are those of a round.")],
    first: Annotated[int, typer.Option("--from", help="Steps of the first teacher's walk.", min=2)] = 32,
    last: Annotated[int, typer.Option("--to", help="Steps of the last student's walk.", min=1)] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda[:N] or auto.")] = "cpu",
    workers: Annotated[int, typer.Option(help="Processes that draw crops ahead.", min=0)] = 1,
) -> None:
    """Distil a model to few steps, half as many a round. A stopped run goes on where it was, with the same losses."""
    from MedDiffFMLib.models import choose_device

    from ..data.store import open_store
    from ..learn.config import PretrainConfig
    from ..learn.distill import rounds

    settings, cases = PretrainConfig.from_json(config), open_store(store, "train")
    for trainer in rounds(settings, cases, run, model, first, last, str(choose_device(device))):
        print(f"{2 * trainer.config.distilled_to} steps to {trainer.config.distilled_to}", flush=True)
        _train(trainer, trainer.folder, workers)


def _train(trainer, run: Path, workers: int) -> None:
    """Run a trainer to its end, from its last state if there is one, with a log; Cancelled if it is asked to stop."""
    from ..learn.export import write_facts
    from ..learn.pretrain import RunLog
    from ..learn.pretrain import pretrain as train

    if (run / "last.pt").exists():
        trainer.restore(run / "last.pt")
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.json").write_text(trainer.config.to_json())
    write_facts(trainer)
    stop = _stop_on_signal()
    log = RunLog(run)

    def report(row: dict) -> None:
        log(row)
        if row["step"] % 20 == 0:
            steps = trainer.config.steps
            print(f"step {row['step']}/{steps}  loss {row['loss']:.4f}  {row['seconds']:.2f} s", flush=True)

    train(trainer, report, lambda: bool(stop), workers)
    if stop:
        raise Cancelled(f"Stopped and saved at step {trainer.step}: the same command goes on from there.")


def _stop_on_signal() -> list[int]:
    """A list that fills when the run is asked to stop; the step under way is finished and saved."""
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, frame: asked.append(received))
    return asked
