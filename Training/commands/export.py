"""`meddiff-fm train export | export-control`: a run's weights as a model folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from MedDiffFMLib.errors import InputError


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

    from ..learn.config import PretrainConfig

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

    from ..learn.config import PretrainConfig

    for path in (state, config):
        if not path.is_file():
            raise InputError(f"{path} does not exist: name the state and the config of a run.")
    settings = PretrainConfig.from_json(config)
    loaded = torch.load(state, map_location="cpu", weights_only=True)
    control = Control(settings.network, ControlConfig(kind=settings.crops.target))
    control.load_state_dict(loaded["average"])
    training = {"steps": loaded["step"], "config": json.loads(settings.to_json())}
    print(save_control(model, name, control, training, float16=True))
