"""`meddiff-fm train manifest | prepare | simulate-noise`: the training store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from MedDiffFMLib.errors import InputError

from .evaluate_options import require_packages

_MANIFEST = "CSV with a line for every CT: path, patient, region, anatomy and more (Training/data/datasets.md)."
_STORE = "Folder to write. Test and held-out patients are checked, but never enter it."
_SPACING = "Isotropic grid in mm, or own: each scan's own grid."
_JOBS = "CTs at once on this computer."
_SCHEDULER = "Compute on a Dask cluster that sees the same files, for example tcp://HOST:8786."
_SALT = "Secret that goes into the hashes of patients' ids; another one draws another split."


def manifest(
    data: Annotated[Path, typer.Argument(help="Folder of CT volumes with its index.json and labels.json.")],
    file: Annotated[Path, typer.Argument(help="Manifest (CSV) to write.")],
) -> None:
    """Write the manifest of a folder laid out as the project's own data."""
    from MedDiffFMLib.volumes.io import check_folder

    from ..data.manifest import write_manifest
    from ..data.project_data import manifest_lines

    lines = manifest_lines(data)
    write_manifest(check_folder(file, overwrite=True), lines)
    print(f"{file}: {len(lines)} CTs")


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

    from ..data.prepare import Outcome, Settings
    from ..data.report import as_table, in_words
    from ..data.run import prepare_manifest

    def tell(outcome: Outcome, done: int, of: int) -> None:
        print(f"{done}/{of} {outcome.name}: {'; '.join([outcome.status, *outcome.reasons])}", flush=True)

    outcomes = prepare_manifest(manifest, store, Settings(spacing_mm, salt), jobs, scheduler, tell)
    print(f"\n{as_table(outcomes)}\n\n{in_words(outcomes)}\n{store / 'report.csv'} and report.json tell more of each.")
    if all(outcome.status == "refused" for outcome in outcomes):
        raise InputError(
            f"No CT of {manifest} was accepted: {store / 'report.csv'} tells why, correct it and run again."
        )


def simulate_noise(
    store: Annotated[Path, typer.Argument(help="Training store on the scans' own grids (prepare --spacing own).")],
    split: Annotated[str, typer.Option("--split", metavar="train|validation", help="Whose cases.")] = "train",
) -> None:
    """Add simulated noise of low dose to every case, for the refiner `low-dose`; what has it is skipped."""
    require_packages("blosc2", "astra")
    from ..data.low_dose import simulate_noise as run
    from ..data.store import open_store

    for case in open_store(store, split):
        print(f"{case.facts.name}: {'simulated' if run(case) else 'has it, or was given in part'}", flush=True)


def _check_store(store: Path) -> None:
    if store.exists() and not store.is_dir():
        raise InputError(f"{store} is a file: name a folder for the store.")


def _spacing(text: str) -> float | None:
    """mm, or None for the scan's own grid."""
    if text == "own":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 10:
        raise InputError(f"--spacing cannot be {text!r}: give mm from 0.1 to 10, or own.")
    return value
