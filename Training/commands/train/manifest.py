"""`meddiff-fm train manifest`: the manifest of a folder laid out as the project's own data, or the paper's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DATA_SET_HELP = (
    "Data set of the paper that the folder is, as its owners publish it: ct-rate, msd-lung, … (a wrong name lists "
    "them all). Without it the folder is laid out as the project's own data."
)
SEED_HELP = "Seed that draws CT-RATE's 1,000 scans, and the test (20 %) and validation patients of lesion data sets."


def manifest(
    data: Annotated[Path, typer.Argument(help="Folder of CTs; without --dataset with index.json and labels.json.")],
    file: Annotated[Path, typer.Argument(help="Manifest (CSV) to write.")],
    dataset: Annotated[str | None, typer.Option("--dataset", metavar="NAME", help=DATA_SET_HELP)] = None,
    seed: Annotated[int, typer.Option("--seed", help=SEED_HELP)] = 0,
) -> None:
    """Write the manifest of the project's own data, or of a data set of the paper."""
    from MedDiffFMLib.volumes.io import check_folder

    from ...data.manifest import write_manifest

    check_folder(file, overwrite=True)
    if dataset is None:
        from ...data.project_data import manifest_lines

        lines = manifest_lines(data)
        paper = ""
    else:
        from ...data.dataset_lines import dataset_lines
        from ...data.datasets import DATA_SETS

        lines = dataset_lines(dataset, data, seed)
        patients = len({line["patient"] for line in lines})
        paper = f" (patients: {patients}; cases in the paper: {DATA_SETS[dataset].cases})"
    write_manifest(file, lines)
    print(f"{file}: {len(lines)} CTs{paper}")
