"""The commands `meddiff-fm train baseline …`: small and simple methods to compare the model with."""

from __future__ import annotations

import typer

from .ddpm import ddpm
from .red_cnn import red_cnn

baseline_app = typer.Typer(no_args_is_help=True, help="Train a baseline to compare with: RED-CNN, a plain DDPM.")
baseline_app.command("red-cnn")(red_cnn)
baseline_app.command("ddpm")(ddpm)
