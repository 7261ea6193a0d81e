"""A job's inputs: read, checked, and on one grid."""

from __future__ import annotations

from pathlib import Path

from .anatomy_io import read_anatomy
from .lesion_mask import read_lesion_mask
from .padding import with_padding_told
from .parameters import TASKS, FileSlot
from .volume import Volume
from .volume_checks import check_ct
from .volume_io import read_volume


def input_slots(task: str) -> list[FileSlot]:
    """The files that a task reads, in their order."""
    return [slot for slot in TASKS[task].files if not slot.output]


def read_inputs(task: str, files: dict[str, Path | None]) -> list[Volume]:
    """A job's inputs in the order of its slots: CTs checked, masks on the grid of the first. InputError otherwise."""
    volumes: list[Volume] = []
    for slot in input_slots(task):
        volumes.append(_read(slot, Path(files[slot.name]), volumes[0] if volumes else None))
    return volumes


def _read(slot: FileSlot, path: Path, first: Volume | None) -> Volume:
    if slot.kind == "labels":
        return read_anatomy(path, like=first)
    if slot.kind == "mask":
        return read_lesion_mask(path, like=first)
    volume = read_volume(path)
    check_ct(volume)
    return with_padding_told(volume)
