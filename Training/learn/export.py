"""Export of a run as a model folder: its facts, its averaged weights, its card."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.config import read_config
from MedDiffFMLib.models.controlnet_folder import save_controlnet
from MedDiffFMLib.models.folder import model_config, save_model_folder
from MedDiffFMLib.networks.controlnet import ControlNet

from .checkpoint import read_state
from .config import PretrainConfig
from .finetune import control_config
from .log import replace_file
from .trainer import Trainer

FACTS = "facts.json"


@dataclass(frozen=True)
class Run:
    """A run as it lies on disk: settings, averaged weights, how many steps they took, and facts (see `write_facts`)."""

    settings: PretrainConfig
    weights: dict[str, torch.Tensor]
    steps: int
    samples: int
    facts: dict

    @property
    def training(self) -> dict:
        """The record of the training for the model's config.json."""
        return {
            "steps": self.steps,
            "samples": self.samples,
            **self.facts,
            "config": json.loads(self.settings.to_json()),
        }


def write_facts(trainer: Trainer) -> None:
    """Write the facts of a run into its folder: its data, in numbers alone, and the weights that it began from."""
    cases = [case.facts for case in trainer.cases]
    regions = dict(sorted(Counter(facts.region for facts in cases).items()))
    data = {"volumes": len(cases), "patients": len({facts.patient for facts in cases}), "regions": regions}
    replace_file(trainer.folder / FACTS, json.dumps({"data": data, **trainer.origin}, indent=1).encode())


def read_run(state: Path, config: Path) -> Run:
    """A run's state (last.pt) and config.json; the facts lie beside them. InputError if one cannot be read."""
    settings, loaded = PretrainConfig.from_json(config), read_state(state)
    samples = loaded["step"] * loaded.get("samples_per_step", settings.batch * settings.accumulate)
    file = config.with_name(FACTS)
    facts = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return Run(settings, loaded["average"], loaded["step"], samples, facts)


def export_model(
    run: Run,
    folder: Path,
    name: str | None = None,
    tasks: dict | None = None,
    card: str = "",
    licence: str = "CC-BY-NC-4.0",
    overwrite: bool = False,
) -> Path:
    """Write a model folder in float16 and return it; without a card a short one states the run's facts.

    A student's settings for synthesis are its walk, so that `synthesize` takes its steps by default.
    """
    settings = run.settings
    if settings.crops.target:
        raise InputError(
            "This is the run of a ControlNet: use export-control, which writes it into its model's folder."
        )
    count = settings.distilled_to
    name = name or "meddiff-fm-small" + (f"-{count}-step{'s' * (count > 1)}" if count else "")
    tasks = (walk_of_student(count) if count else {}) | (tasks or {})
    record = model_config(name, settings.network, tasks=tasks, training=run.training, licence=licence)
    text = card or model_card(name, run, licence)
    return save_model_folder(folder, run.weights, record, text, float16=True, overwrite=overwrite)


def export_control(run: Run, model: Path, name: str) -> Path:
    """Write a ControlNet in float16 into the model folder that it was trained with, and return its folder.

    InputError if the run is none of a ControlNet's, or was trained with other weights.
    """
    settings = run.settings
    if not settings.crops.target:
        raise InputError("This is not the run of a ControlNet, it has no crops.target: use export.")
    trained_with = run.facts.get("base_sha256", sha256 := read_config(model)["weights"]["sha256"])
    if trained_with != sha256:
        raise InputError(f"This ControlNet was trained with other weights than those in {model}: name its own model.")
    control = ControlNet(settings.network, control_config(settings))
    control.load_state_dict(run.weights)
    return save_controlnet(model, name, control, run.training, float16=True)


def walk_of_student(count: int) -> dict:
    """Settings of synthesis, by quality, for a student of `count` steps (see `distill`)."""
    walk = {"sampler": "ddim", "timesteps": "trailing", "steps": count}
    coarse = walk | {"levels": ["image"]}
    # from the single step of t = 990 nothing of a coarser level's image would be left
    finer = walk | {"levels": ["image", "double"]} if count > 1 else coarse
    return {"synthesize": {"fast": coarse, "balanced": finer, "paper": walk}}


def model_card(name: str, run: Run, licence: str) -> str:
    """A card of the run's facts alone, Markdown: what it is, data, steps, license, and that nothing is measured."""
    s, data = run.settings, run.facts.get("data")
    if data:
        regions = ", ".join(f"{region} {count}" for region, count in data["regions"].items())
        seen = f"{data['volumes']} CT volumes of {data['patients']} patients ({regions})"
    else:
        seen = "not recorded"
    what = "A diffusion prior of CT."
    if s.distilled_to:
        what = (
            f"Distilled for synthesis in {s.distilled_to} step(s) of DDIM from a model of twice as many. **For "
            "synthesis alone, with these steps**: it has no estimate for other timesteps, so it does no other task."
        )
    patch = " × ".join(str(n) for n in s.crops.patch)
    return f"""# {name}

{what} For MedDiff-FM.

| | |
|---|---|
| network | 3D U-Net, channels {", ".join(str(c) for c in s.network.channels)}; it predicts {s.network.prediction} |
| training data | {seen} |
| training | {run.steps:,} steps, {run.samples:,} crops of {patch}, Adam {s.learning_rate:g}, seed {s.seed} |
| license of the weights | {licence} |

**Its quality was not measured when this card was written**: see `meddiff-fm evaluate`.

For research only: not a medical device, not for diagnosis.
"""
