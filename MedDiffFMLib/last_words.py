"""What a process that died said at last. Standard library only."""

from __future__ import annotations

import re

# Python's own words for a signal, from `faulthandler`; the stack follows them
FAULT = re.compile(r"^(Fatal Python error|Windows fatal exception): .*$", re.MULTILINE)
_LAUNCHER = "exit abnormally"  # of Slicer's launcher, which says nothing of why


def last_words(said: str) -> str:
    """The line of a process's stderr that tells why it died, or the last one; empty if it said nothing."""
    fault = FAULT.search(said)
    if fault:
        return fault[0].strip()
    lines = [line.strip() for line in said.splitlines() if line.strip() and _LAUNCHER not in line]
    return lines[-1] if lines else ""
