"""Processes in a group of their own, which end with everything that they started. Standard library only."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time


def own_group() -> dict:
    """The arguments of `subprocess.Popen` for a process that leads a group, which no Ctrl-C in this terminal ends."""
    if os.name == "posix":
        return {"start_new_session": True}
    return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}


def end_process_group(process: subprocess.Popen, patience: float = 0.5) -> None:
    """End a process started with `own_group` and all of its group: asked first, killed after `patience` seconds.

    What it started ends even if it has ended itself; another process that has got its number by now is left alone.
    """
    if os.name != "posix":  # the interpreter is a launcher there: its child must go too
        with contextlib.suppress(subprocess.TimeoutExpired):  # no signal can ask it, but its closed stdin does
            process.wait(patience)
            return
        command = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        subprocess.run(command, capture_output=True, creationflags=subprocess.CREATE_NO_WINDOW)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)
        return
    if process.poll() is not None and _exists(process.pid):
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        if number == signal.SIGTERM:
            deadline = time.monotonic() + patience
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1)


def _exists(pid: int) -> bool:
    """Whether a process has this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        pass
    return True
