"""A job's inputs: read, checked, and on one grid."""

from __future__ import annotations

from pathlib import Path

from ..anatomy.label_maps.lesion_reading import read_lesion_mask
from ..anatomy.label_maps.reading import read_anatomy
from ..parameters import TASKS, FileSlot
from ..volumes.checks import check_ct
from ..volumes.io import read_volume
from ..volumes.padding import with_padding_told
from ..volumes.volume import Volume


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
