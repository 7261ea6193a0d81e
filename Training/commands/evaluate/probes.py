"""Steps that `evaluate distillation` and `evaluate condition` share: checks, the cases of a store, tables and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from MedDiffFMLib.errors import InputError

from ..options import check_file

if TYPE_CHECKING:
    from ...data.store import Case
    from ...evaluate.reports.report import Report


def check_options(patch: int, json_file: Path | None) -> None:
    """InputError, before any work, unless the network can halve the crops and the report can be written."""
    if patch % 8:
        raise InputError(f"--patch cannot be {patch}: give a multiple of 8, as the network halves it three times.")
    check_file(json_file)


def print_to_stderr(line: str) -> None:
    """Print a line of progress, apart from the tables."""
    typer.echo(line, err=True)


def cases_of(store: Path, split: str, region: str | None) -> list[Case]:
    """The cases of a split of a store, of all regions or one. InputError if there are none."""
    from ...data.store import open_store

    cases = [case for case in open_store(store, split) if region in (None, case.facts.region)]
    if not cases:
        raise InputError(f"{store} has no case of {region} in {split}: choose another region or split.")
    return cases


def show(reports: Sequence[Report], json_file: Path | None) -> None:
    """Print the tables and write their JSON: to the file for one table, to FILE-TASK for each of several."""
    from ...evaluate.reports.report import print_report, write_json

    for report in reports:
        print_report(report)
        if json_file:
            file = json_file if len(reports) == 1 else json_file.with_stem(f"{json_file.stem}-{report.task}")
            write_json(report, file)
