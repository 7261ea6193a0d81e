"""What the terminal or pipe at the other end may not be able to show."""

from __future__ import annotations

import sys


def take_any_text() -> None:
    """Have stdout and stderr write what their encoding lacks as an escape, in place of an error: a file name may hold
    anything, even bytes that are no text.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # none without a console, or another program's own
            stream.reconfigure(errors="backslashreplace")
