"""The commands that the training part adds to `meddiff-fm` (entry point `meddiff_fm.commands`)."""

from __future__ import annotations

import typer

from .demo import demo
from .evaluate import evaluate_app
from .train import train_app


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(train_app, name="train")
    app.add_typer(evaluate_app, name="evaluate")
    app.command("demo")(demo)
