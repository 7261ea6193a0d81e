"""What the methods of an evaluation are given, as files for one that runs elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from MedDiffFMLib.atomic import hidden_name, naming
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.io import write_volume
from MedDiffFMLib.volumes.volume import Volume


def write_inputs(folder: Path, cases: Iterable[tuple[str, Mapping[str, Volume]]]) -> None:
    """Write the volumes of each case, by their kind, as KIND/NAME.nii.gz into a new folder, and say how many cases
    there are. It appears whole or not at all. cases: made one by one. InputError, before the first is made, if the
    folder holds anything or cannot be made.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not an empty folder: name a new one for the inputs.")
    if not folder.absolute().parent.is_dir():
        raise InputError(f"{folder} cannot be made, {folder.absolute().parent} does not exist: create it first.")
    part = hidden_name(folder.absolute(), "")

    def write(case: tuple[str, Mapping[str, Volume]]) -> int:
        name, volumes = case
        for kind, volume in volumes.items():
            (part / kind).mkdir(exist_ok=True)
            write_volume(volume, part / kind / f"{name}.nii.gz", named=folder / kind / f"{name}.nii.gz")
        return 1

    try:
        with naming(folder):
            part.mkdir()
            count = sum(map(write, cases))  # a loop would hold a case while the next is read
            if folder.exists():
                folder.rmdir()
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    print(f"{folder}: the inputs of {count} case{'s' * (count != 1)}. Give a method's images back with --result.")
