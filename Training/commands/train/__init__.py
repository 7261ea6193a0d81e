"""The commands `meddiff-fm train …`, one a file: data, pre-training, what follows it, export."""

from __future__ import annotations

import typer

from .baseline import baseline_app
from .dead_leaves import dead_leaves
from .distill import distill
from .export import export
from .export_control import export_control
from .export_refiner import export_refiner
from .export_restorer import export_restorer
from .finetune import finetune
from .manifest import manifest
from .noise_bank import noise_bank
from .prepare import prepare
from .pretrain import pretrain
from .refine import refine
from .restore import restore
from .self_test import self_test
from .simulate_noise import simulate_noise

train_app = typer.Typer(no_args_is_help=True, help="Make the weights: prepare data, pre-train, fine-tune, export.")
for command in (manifest, prepare, pretrain, finetune, restore, refine, distill, export):
    train_app.command()(command)
train_app.command("dead-leaves")(dead_leaves)
train_app.command("simulate-noise")(simulate_noise)
train_app.command("noise-bank")(noise_bank)
train_app.command("export-control")(export_control)
train_app.command("export-refiner")(export_refiner)
train_app.command("export-restorer")(export_restorer)
train_app.add_typer(baseline_app, name="baseline")
train_app.command("self-test")(self_test)
