"""`meddiff-fm evaluate ablation`: the effect of levels and position (paper, IV-B, Table III)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.config import read_config

from ...data.crop_config import LEVELS
from ..reports import paper
from ..reports.report import Report
from .synthesize import Measured, report_of

ROWS = (paper.BASELINE, paper.MULTI_LEVEL, paper.POSITION, paper.POSITION_EMBEDDING)
BY_POSITION = {"coordinates": paper.POSITION, "encoding": paper.POSITION_EMBEDDING}
SHORT_RUN = (
    "Such a table compares components only if the models are alike in all else and trained to the end: after a short "
    "run on few volumes the order may be chance. The paper's models had 150 epochs of 4,838 volumes."
)


def components_of(folders: Sequence[Path]) -> dict[str, Path]:
    """The model folders by their row of the table, in its order. InputError if a model's settings do not determine its
    row, or two have the same.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        row = component_of(read_config(folder), folder)
        if row in found:
            raise InputError(f"{found[row]} and {folder} are both {row!r}: name one model for each row of the table.")
        found[row] = folder
    return {row: found[row] for row in ROWS if row in found}


def component_of(config: dict, folder: Path) -> str:
    """The row of a model with this config: by the form of its position, and by the levels that it was trained at."""
    position = config["architecture"].get("position", "encoding")
    if position in BY_POSITION:
        return BY_POSITION[position]
    levels = config.get("training", {}).get("config", {}).get("crops", {}).get("levels")
    if not levels:
        raise InputError(
            f"{folder} does not say at which levels it was trained: name a model that `train export` wrote."
        )
    seen = {level for level, share in zip(LEVELS, levels, strict=True) if share > 0}
    return paper.BASELINE if seen == {"patch"} else paper.MULTI_LEVEL


def report_of_ablation(rows: Sequence[Measured], notes: Sequence[str], facts: dict) -> Report:
    """The table in the layout of Table III."""
    report = report_of(rows, [SHORT_RUN, *notes], facts)
    title = "Ablation: synthesis from the label maps of real CT, each component added to those above it"
    return replace(report, task="ablation", title=title, paper_table="Table III", paper=paper.TABLE_III)
