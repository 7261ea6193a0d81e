"""The commands that the training part adds to `meddiff-fm` (entry point `meddiff_fm.commands`)."""

from __future__ import annotations

import typer

from .check import evaluate_condition, evaluate_distillation
from .data import manifest, prepare, simulate_noise
from .evaluate import evaluate_app
from .evaluate_synthesis import evaluate_generate_lesion, evaluate_inpaint_lesion, evaluate_synthesize
from .export import export, export_control
from .learn import distill, finetune, pretrain
from .refine import export_refiner, refine
from .self_test import self_test
from .show import demo

train_app = typer.Typer(no_args_is_help=True, help="Make the weights: prepare data, pre-train, fine-tune, export.")
for command in (manifest, prepare, pretrain, finetune, refine, distill, export):
    train_app.command()(command)
train_app.command("simulate-noise")(simulate_noise)
train_app.command("export-control")(export_control)
train_app.command("export-refiner")(export_refiner)
train_app.command("self-test")(self_test)
evaluate_app.command("synthesize")(evaluate_synthesize)
evaluate_app.command("generate-lesion")(evaluate_generate_lesion)
evaluate_app.command("inpaint-lesion")(evaluate_inpaint_lesion)
evaluate_app.command("distillation")(evaluate_distillation)
evaluate_app.command("condition")(evaluate_condition)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(train_app, name="train")
    app.add_typer(evaluate_app, name="evaluate")
    app.command("demo")(demo)
