"""The commands that the training part adds to `meddiff-fm` (entry point `meddiff_fm.commands`)."""

from __future__ import annotations

import typer

from .data import pack, prepare, unpack
from .evaluate import evaluate_app
from .export import export, export_control
from .learn import finetune, join, pretrain, split
from .show import demo

train_app = typer.Typer(no_args_is_help=True, help="Make the weights: prepare data, pre-train, fine-tune, export.")
for command in (prepare, pack, unpack, pretrain, finetune, split, join, export):
    train_app.command()(command)
train_app.command("export-control")(export_control)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(train_app, name="train")
    app.add_typer(evaluate_app, name="evaluate")
    app.command("demo")(demo)
