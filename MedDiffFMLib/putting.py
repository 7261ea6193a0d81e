"""Give a finished file its name. Standard library only."""

from __future__ import annotations

import os
import time

PATIENCE = 1.0  # seconds; on Windows a file that somebody looks at, a virus scanner or a panel, cannot be replaced
PAUSE = 0.05


def put(new: str | os.PathLike, path: str | os.PathLike) -> None:
    """Rename `new` to `path`, in the place of a file of that name. Waits a second for one that is in use; then
    PermissionError.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            os.replace(new, path)
            return
        except PermissionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(PAUSE)
