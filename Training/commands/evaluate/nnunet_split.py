"""`meddiff-fm evaluate nnunet-split`: the split of a manifest for the nnU-Net that judges lesions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from MedDiffFMLib.errors import InputError

from ..options import check_file


def nnunet_split(
    manifest: Annotated[Path, typer.Argument(help="Manifest of the lesion data set, as of `train prepare`.")],
    file: Annotated[Path, typer.Argument(help="splits_final.json in nnU-Net's folder of the preprocessed data set.")],
    salt: Annotated[str, typer.Option("--salt", help="That of `train prepare`, if it had one.")] = "",
) -> None:
    """Write the ControlNet's own split as nnU-Net's fold 0: the judge of generated lesions never saw a test patient."""
    from ...data.manifest import read_manifest
    from ...data.nnunet_split import write_splits

    check_file(file)
    if file.name != "splits_final.json":
        raise InputError(f"nnU-Net reads its split from splits_final.json, not from {file.name}: give that name.")
    rows = read_manifest(manifest, salt)
    fold = write_splits(rows, file, salt)
    left_out = len(rows) - len(fold["train"]) - len(fold["val"])
    print(f"{len(fold['train'])} cases to train on, {len(fold['val'])} to validate, {left_out} left out for the test")
