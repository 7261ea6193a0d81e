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


def input_slots(task: str) -> list[FileSlot]:
    """The files that a task reads, in their order."""
    return [slot for slot in TASKS[task].files if not slot.output]


class LastVolume:
    """Keeps the CT that was read last: a worker's run mostly follows a look at the same file.

    A file counts as the same while its path, inode, size and time of change are; folders are read anew.
    """

    def __init__(self):
        self._key: tuple | None = None
        self._volume: Volume | None = None

    def read(self, path: Path) -> Volume:
        """The CT in a file, read and checked; errors as of `read_inputs`."""
        key = _identity(path)
        if key is None or key != self._key:
            self.drop()  # two at once may not fit
            self._volume = _read_ct(path)
            self._key = key
        return self._volume

    def drop(self) -> None:
        """Free the memory."""
        self._key = self._volume = None


def _identity(path: Path) -> tuple | None:
    """What changes with a file's content; None for what is no file."""
    if not path.is_file():
        return None
    known = path.stat()
    return str(path.resolve()), known.st_ino, known.st_size, known.st_mtime_ns


def read_inputs(task: str, files: dict[str, Path | None], last: LastVolume | None = None) -> list[Volume]:
    """A job's inputs in the order of its slots: CTs checked, masks on the grid of the first. InputError otherwise.

    last: where a CT may be known from the job before.
    """
    volumes: list[Volume] = []
    for slot in input_slots(task):
        path, first = Path(files[slot.name]), volumes[0] if volumes else None
        if slot.kind == "labels":
            volumes.append(read_anatomy(path, like=first))
        elif slot.kind == "mask":
            volumes.append(read_lesion_mask(path, like=first))
        else:
            volumes.append(last.read(path) if last else _read_ct(path))
    return volumes


def _read_ct(path: Path) -> Volume:
    return with_padding_warning(ensure_ct(read_volume(path)))
