"""Why a process died, in one line. Standard library only."""

from __future__ import annotations

import re

# what Python's `faulthandler` writes for a signal; the stack follows it
FAULT = re.compile(r"^(Fatal Python error|Windows fatal exception): .*$", re.MULTILINE)
_LAUNCHER = "exit abnormally"  # in the line of Slicer's launcher, which gives no reason


def crash_message(stderr: str) -> str:
    """The line of a process's stderr that says why it died, else its last line; empty if it wrote nothing."""
    fault = FAULT.search(stderr)
    if fault:
        return fault[0].strip()
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and _LAUNCHER not in line]
    return lines[-1] if lines else ""
