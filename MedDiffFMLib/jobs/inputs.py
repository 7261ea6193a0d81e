"""A job's inputs: read, checked, and on one grid."""

from __future__ import annotations

from pathlib import Path

from ..anatomy.label_maps.lesion_reading import read_lesion_mask
from ..anatomy.label_maps.reading import read_anatomy
from ..parameters import TASKS, FileSlot
from ..volumes.checks import ensure_ct
from ..volumes.io import read_volume
from ..volumes.padding import with_padding_warning
from ..volumes.volume import Volume
from .cache import JobCache


def input_slots(task: str) -> list[FileSlot]:
    """The files that a task reads, in their order."""
    return [slot for slot in TASKS[task].files if not slot.output]


def read_inputs(task: str, files: dict[str, Path | None], cache: JobCache | None = None) -> list[Volume]:
    """A job's inputs in the order of its slots: CTs checked, masks on the grid of the first. InputError otherwise.

    cache: may hold the CT of the job before.
    """
    volumes: list[Volume] = []
    for slot in input_slots(task):
        path, first = Path(files[slot.name]), volumes[0] if volumes else None
        if slot.kind == "labels":
            volumes.append(read_anatomy(path, like=first))
        elif slot.kind == "mask":
            volumes.append(read_lesion_mask(path, like=first))
        else:
            volumes.append(cache.volume(path, _read_ct) if cache else _read_ct(path))
    return volumes


def _read_ct(path: Path) -> Volume:
    """A CT in HU from a file or DICOM folder, with a warning if it is padded. InputError if it is no CT."""
    return with_padding_warning(ensure_ct(read_volume(path)))
