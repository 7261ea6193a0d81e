"""Text that the terminal or pipe at the other end cannot show."""

from __future__ import annotations

import sys


def take_any_text() -> None:
    """Make stdout and stderr write characters that their encoding lacks as escapes, instead of failing: a file name may
    hold anything, even bytes that are no text.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # none without a console, or another program's own
            stream.reconfigure(errors="backslashreplace")
