"""`meddiff-fm train prepare | pretrain | export`."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Annotated

import typer

from MedDiffFMLib.errors import Cancelled, InputError

app = typer.Typer(no_args_is_help=True, help="Make the weights: prepare data, pre-train, export.")


@app.command()
def prepare(
    data: Annotated[Path, typer.Argument(help="Folder of CT volumes with its index.json and labels.json.")],
    store: Annotated[Path, typer.Argument(help="Folder to write; test patients never enter it.")],
) -> None:
    """Turn a folder of CT volumes into a training store."""
    from .prepare import prepare as run

    if not (data / "index.json").is_file():
        raise InputError(f"{data} has no index.json: name the folder that holds the volumes and their index.")
    for name in run(data, store):
        print(name)


@app.command()
def pack(
    store: Annotated[Path, typer.Argument(help="Training store, written by `prepare`.")],
    file: Annotated[Path, typer.Argument(help="File to write.")],
    most_noise: Annotated[float, typer.Option(help="Leave out scans with more noise (HU).")] = 35.0,
) -> None:
    """Pack a store into one small file, to carry it to another machine."""
    from .pack import pack as run

    packed, skipped = run(store, file, most_noise)
    print(f"{len(packed)} cases, {file.stat().st_size / 2**20:.1f} MiB; left out as too noisy: {skipped or 'none'}")


@app.command()
def unpack(
    file: Annotated[Path, typer.Argument(help="File written by `pack`.")],
    store: Annotated[Path, typer.Argument(help="Folder to write.")],
) -> None:
    """Make a training store of a packed file."""
    from .pack import unpack as run

    run(file, store)


@app.command()
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

    from .config import PretrainConfig
    from .pretrain import Trainer
    from .store import open_store

    settings = PretrainConfig.from_json(config) if config else PretrainConfig()
    if start_from and not start_from.exists():
        raise InputError(f"{start_from} does not exist: name a run's state or a model folder to start from.")
    trainer = Trainer(settings, open_store(store, "train"), run, str(choose_device(device)))
    if start_from and not (run / "last.pt").exists():
        trainer.start_from(start_from)
    _train(trainer, run, workers)


@app.command()
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

    from .config import PretrainConfig
    from .finetune import ControlTrainer
    from .store import open_store

    settings = PretrainConfig.from_json(config)
    if start_from and not start_from.is_file():
        raise InputError(f"{start_from} does not exist: name the state of a finetune run to start from.")
    trainer = ControlTrainer(settings, open_store(store, "train"), run, base, str(choose_device(device)))
    if start_from and not (run / "last.pt").exists():
        trainer.start_from(start_from)
    _train(trainer, run, workers)


def _train(trainer, run: Path, workers: int) -> None:
    """Run a trainer to its end, from its last state if there is one, with a log; Cancelled if it is asked to stop."""
    from .pretrain import RunLog
    from .pretrain import pretrain as train

    if (run / "last.pt").exists():
        trainer.restore(run / "last.pt")
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.json").write_text(trainer.config.to_json())
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


@app.command()
def export(
    state: Annotated[Path, typer.Argument(help="State of a run (last.pt).")],
    config: Annotated[Path, typer.Argument(help="The run's config.json.")],
    folder: Annotated[Path, typer.Argument(help="Model folder to write.")],
    name: Annotated[str, typer.Option(help="The model's name.")] = "meddiff-fm-small",
    tasks: Annotated[Path | None, typer.Option(help="Task defaults found in validation (JSON).")] = None,
    card: Annotated[Path | None, typer.Option(help="Model card (Markdown).")] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights, as the training data allow.")] = "CC-BY-NC-4.0",
    overwrite: Annotated[bool, typer.Option(help="Replace the folder.")] = False,
) -> None:
    """Write a run's averaged weights as a model folder: float16, checksum, card."""
    import torch

    from MedDiffFMLib.model_folder import model_config, save_model_folder

    from .config import PretrainConfig

    for path in (state, config):
        if not path.is_file():
            raise InputError(f"{path} does not exist: name the state and the config of a run.")
    settings = PretrainConfig.from_json(config)
    loaded = torch.load(state, map_location="cpu", weights_only=True)
    training = {"steps": loaded["step"], "config": json.loads(settings.to_json())}
    defaults = json.loads(tasks.read_text(encoding="utf-8")) if tasks else {}
    record = model_config(name, settings.network, tasks=defaults, training=training, licence=licence)
    text = card.read_text(encoding="utf-8") if card else ""
    print(save_model_folder(folder, loaded["average"], record, text, float16=True, overwrite=overwrite))


@app.command("export-control")
def export_control(
    state: Annotated[Path, typer.Argument(help="State of a `finetune` run (last.pt).")],
    config: Annotated[Path, typer.Argument(help="The run's config.json.")],
    model: Annotated[Path, typer.Argument(help="Model folder that the ControlNet was trained with, to write it into.")],
    name: Annotated[str, typer.Argument(help="Its name there: super-resolution, lesion-lung, …")],
) -> None:
    """Write a run's averaged ControlNet into its model folder: float16, checksum."""
    import torch

    from MedDiffFMLib.control import Control, ControlConfig
    from MedDiffFMLib.control_folder import save_control

    from .config import PretrainConfig

    for path in (state, config):
        if not path.is_file():
            raise InputError(f"{path} does not exist: name the state and the config of a run.")
    settings = PretrainConfig.from_json(config)
    loaded = torch.load(state, map_location="cpu", weights_only=True)
    control = Control(settings.network, ControlConfig(kind=settings.crops.target))
    control.load_state_dict(loaded["average"])
    training = {"steps": loaded["step"], "config": json.loads(settings.to_json())}
    print(save_control(model, name, control, training, float16=True))


def _stop_on_signal() -> list[int]:
    """A list that fills when the run is asked to stop; the step under way is finished and saved."""
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, frame: asked.append(received))
    return asked
