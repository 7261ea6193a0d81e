"""`meddiff-fm evaluate distillation`: whether few steps are enough."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from MedDiffFMLib.errors import InputError

from ..option_groups import with_option_groups
from ..options import JsonFile, ModelDevice, Store, check_file, require_packages
from .probes import CropOptions, print_to_stderr, show


@with_option_groups
def evaluate_distillation(
    store: Store,
    teacher: Annotated[Path, typer.Argument(help="Model folder of the teacher.")],
    students: Annotated[list[Path], typer.Argument(help="Model folders of students, by `train export`.")],
    *,
    crops: CropOptions,
    seed: Annotated[int, typer.Option(help="Seed of the crops and their noise.")] = 0,
    device: ModelDevice = "auto",
    json_file: JsonFile = None,
) -> None:
    """Compare distilled models of few steps with their teacher at the same steps and at 50."""
    require_packages("blosc2")
    from MedDiffFMLib.models.loading import load_model

    from ...data.crop_config import CropConfig
    from ...evaluate.probes.crops import draw_samples
    from ...evaluate.probes.distillation import compare_steps, steps_of

    check_file(json_file)
    loaded = [load_model(folder, device=device) for folder in (teacher, *students)]
    for model in loaded[1:]:
        if not steps_of(model):
            raise InputError(f"{model.folder} was not distilled: name folders exported from `train distill`.")
    config = CropConfig(patch=(crops.patch,) * 3, keep_organs=1.0, keep_position=1.0)
    samples = draw_samples(crops.cases(store), config, crops.crops, seed)
    show([compare_steps(loaded[0], loaded[1:], samples, print_to_stderr)], json_file)
