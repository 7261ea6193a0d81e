"""`meddiff-fm train prepare`: CTs of a manifest to a training store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from MedDiffFMLib.errors import InputError

from ..options import require_packages

_MANIFEST = "CSV with a line for every CT: path, patient, region, anatomy and more (Training/data/datasets.md)."
_STORE = "Folder to write. Test and held-out patients are checked, but never enter it."
_SPACING = "Isotropic grid in mm, or own: each scan's own grid."
_JOBS = "CTs at once on this computer."
_SCHEDULER = "Compute on a Dask cluster that sees the same files, for example tcp://HOST:8786."
_SALT = "Secret that goes into the hashes of patients' ids; another one draws another split."


def prepare(
    manifest: Annotated[Path, typer.Argument(help=_MANIFEST)],
    store: Annotated[Path, typer.Argument(help=_STORE)],
    spacing: Annotated[str, typer.Option(metavar="MM|own", help=_SPACING)] = "1",
    jobs: Annotated[int, typer.Option("--jobs", min=1, help=_JOBS)] = 1,
    scheduler: Annotated[str | None, typer.Option("--scheduler", metavar="ADDRESS", help=_SCHEDULER)] = None,
    salt: Annotated[str, typer.Option("--salt", envvar="MEDDIFF_FM_SALT", help=_SALT)] = "",
) -> None:
    """Turn the CTs of a manifest into a training store, with a report; what is done already is skipped."""
    require_packages("blosc2")
    if scheduler is not None and jobs != 1:
        raise InputError("--jobs is for this computer and --scheduler for a cluster: give one of them.")
    _check_store(store)
    spacing_mm = _spacing(spacing)

    from ...data.prepare import Outcome, Settings
    from ...data.report import as_table, in_words
    from ...data.run import prepare_manifest

    def log(outcome: Outcome, done: int, of: int) -> None:
        print(f"{done}/{of} {outcome.name}: {'; '.join([outcome.status, *outcome.reasons])}", flush=True)

    outcomes = prepare_manifest(manifest, store, Settings(spacing_mm, salt), jobs, scheduler, log)
    print(f"\n{as_table(outcomes)}\n\n{in_words(outcomes)}\n{store / 'report.csv'} and report.json say more of each.")
    if all(outcome.status == "refused" for outcome in outcomes):
        raise InputError(
            f"No CT of {manifest} was accepted: {store / 'report.csv'} says why; correct it and run again."
        )


def _check_store(store: Path) -> None:
    if store.exists() and not store.is_dir():
        raise InputError(f"{store} is a file: name a folder for the store.")


def _spacing(text: str) -> float | None:
    """The grid's spacing in mm; None for each scan's own grid. InputError if it is neither."""
    if text == "own":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 10:
        raise InputError(f"--spacing cannot be {text!r}: give mm from 0.1 to 10, or own.")
    return value
