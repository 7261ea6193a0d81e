"""The cache of a worker between jobs: a CT and a plan, since a run mostly follows an estimate of the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..progress import ProgressCallback, Reporter
    from ..tasks.plan import Plan
    from ..volumes.volume import Volume


class JobCache:
    """A cache of the CT that was read last and the plan of the last estimate, one of each at most.

    A file counts as the same while its path, inode, size and time of change are. Folders are read anew, and so are .mhd
    files, whose voxels lie in another one.
    """

    def __init__(self):
        self.drop()

    def drop(self) -> None:
        """Free the memory."""
        self._volume_key = self._volume = None
        self.drop_plan()

    def drop_plan(self) -> None:
        """Free the plan's memory."""
        self._plan_key = self._plan = self._reporter = None

    def volume(self, path: Path, read: Callable[[Path], Volume]) -> Volume:
        """The CT in a file as `read` gives it; its errors pass through."""
        key = _file_state(path) if path.suffix.lower() != ".mhd" else None
        if key is None or key != self._volume_key:
            self.drop()  # two at once may not fit
            self._volume = read(path)
            self._volume_key = key
        return self._volume

    def store_plan(self, key: object, plan: Plan, reporter: Reporter) -> None:
        """Store the plan of an estimate. key: equal for plans of equal inputs, parameters and model."""
        self._plan_key, self._plan, self._reporter = key, plan, reporter

    def take_plan(self, key: object, progress: ProgressCallback | None) -> Plan | None:
        """The plan that was stored under an equal key, else None. It reports to `progress` from now on, and leaves the
        cache.
        """
        plan, reporter = (self._plan, self._reporter) if key == self._plan_key else (None, None)
        self.drop_plan()
        if reporter is not None:
            reporter.restart(progress)
        return plan


def _file_state(path: Path) -> tuple | None:
    """The state of a file, which changes with its content; None if there is no such file."""
    if not path.is_file():
        return None
    known = path.stat()
    return str(path.resolve()), known.st_ino, known.st_size, known.st_mtime_ns
