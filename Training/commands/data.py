"""`meddiff-fm train prepare | pack | unpack`: the training store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from MedDiffFMLib.errors import InputError


def prepare(
    data: Annotated[Path, typer.Argument(help="Folder of CT volumes with its index.json and labels.json.")],
    store: Annotated[Path, typer.Argument(help="Folder to write; test patients never enter it.")],
) -> None:
    """Turn a folder of CT volumes into a training store."""
    from ..data.prepare import prepare as run

    if not (data / "index.json").is_file():
        raise InputError(f"{data} has no index.json: name the folder that holds the volumes and their index.")
    for name in run(data, store):
        print(name)


def pack(
    store: Annotated[Path, typer.Argument(help="Training store, written by `prepare`.")],
    file: Annotated[Path, typer.Argument(help="File to write.")],
    most_noise: Annotated[float, typer.Option(help="Leave out scans with more noise (HU).")] = 35.0,
) -> None:
    """Pack a store into one small file, to carry it to another machine."""
    from ..data.pack import pack as run

    packed, skipped = run(store, file, most_noise)
    print(f"{len(packed)} cases, {file.stat().st_size / 2**20:.1f} MiB; left out as too noisy: {skipped or 'none'}")


def unpack(
    file: Annotated[Path, typer.Argument(help="File written by `pack`.")],
    store: Annotated[Path, typer.Argument(help="Folder to write.")],
) -> None:
    """Make a training store of a packed file."""
    from ..data.pack import unpack as run

    run(file, store)
