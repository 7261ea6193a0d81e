"""The commands that the training part adds to `meddiff-fm`."""

from __future__ import annotations

import typer

from .evaluate.commands import demo, evaluate_app
from .train import app as train_app


def register(app: typer.Typer) -> None:
    """Add the commands to the application (entry point `meddiff_fm.commands`)."""
    app.add_typer(train_app, name="train")
    app.add_typer(evaluate_app, name="evaluate")
    app.command("demo")(demo)
