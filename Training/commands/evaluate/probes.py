"""Steps that `evaluate distillation` and `evaluate condition` share: checks, the cases of a store, tables and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from MedDiffFMLib.errors import InputError

from ..options import CropPatch, Crops, CropsRegion, CropsSplit

if TYPE_CHECKING:
    from ...data.store import Case
    from ...evaluate.reports.report import Report


@dataclass(frozen=True)
class CropOptions:
    """The crops of a store that are measured: of which cases, how many, and how large."""

    split: CropsSplit = "validation"
    region: CropsRegion = None
    crops: Crops = 12
    patch: CropPatch = 32

    def check(self) -> None:
        """InputError unless the network can halve the crops."""
        if self.patch % 8:
            raise InputError(
                f"--patch cannot be {self.patch}: give a multiple of 8, as the network halves it three times."
            )

    def cases(self, store: Path) -> list[Case]:
        """The cases of the split, of all regions or one. InputError if there are none."""
        from ...data.store import open_store

        cases = [case for case in open_store(store, self.split) if self.region in (None, case.facts.region)]
        if not cases:
            raise InputError(f"{store} has no case of {self.region} in {self.split}: choose another region or split.")
        return cases


def print_to_stderr(line: str) -> None:
    """Print a line of progress, apart from the tables."""
    typer.echo(line, err=True)


def show(reports: Sequence[Report], json_file: Path | None) -> None:
    """Print the tables and write their JSON: to the file for one table, to FILE-TASK for each of several."""
    from ...evaluate.reports.report import print_report, write_json

    for report in reports:
        print_report(report)
        if json_file:
            file = json_file if len(reports) == 1 else json_file.with_stem(f"{json_file.stem}-{report.task}")
            write_json(report, file)
