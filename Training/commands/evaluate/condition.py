"""`meddiff-fm evaluate condition`: whether a ControlNet uses its condition."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from MedDiffFMLib.errors import InputError

from ..option_groups import with_option_groups
from ..options import JsonFile, ModelDevice, Store, check_file, require_packages
from .probes import CropOptions, print_to_stderr, show


@with_option_groups
def evaluate_condition(
    store: Store,
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    control: Annotated[str, typer.Argument(help="Its ControlNet: super-resolution, lesion-lung, …")],
    *,
    crops: CropOptions,
    steps: Annotated[int, typer.Option(help="Steps of DDIM.", min=1, max=500)] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the crops and their noise.")] = 0,
    device: ModelDevice = "auto",
    json_file: JsonFile = None,
) -> None:
    """Measure whether a ControlNet listens: what another condition changes, beside what other noise changes."""
    require_packages("blosc2")
    from MedDiffFMLib.models.controlnet_folder import load_controlnet
    from MedDiffFMLib.models.loading import load_model

    from ...data.crop_config import CropConfig
    from ...evaluate.probes.controlnet_response import check_condition
    from ...evaluate.probes.crops import draw_samples

    check_file(json_file)
    loaded = load_model(model, device=device)
    network = load_controlnet(loaded, control)
    if network.config.direct_t is not None:
        raise InputError(
            f"The ControlNet {control} makes its result in one evaluation and not from noise: measure it with "
            "meddiff-fm evaluate super-resolve."
        )
    config = CropConfig(
        (crops.patch,) * 3,
        (0, 0, 1, 1),
        keep_organs=1.0,
        keep_position=1.0,
        target=network.config.kind,
        around_lesion=1.0,
    )
    samples = draw_samples(crops.cases(store), config, crops.crops, seed)
    show(check_condition(loaded, network, samples, steps, print_to_stderr), json_file)
