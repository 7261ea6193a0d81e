"""What an error means to the shell: one sentence on stderr and an exit code."""

from __future__ import annotations

import logging
import sys
import traceback

from ..errors import Cancelled, InputError

DONE, FAILED, WRONG_INPUT, CANCELLED, OUT_OF_MEMORY = range(5)

log = logging.getLogger("MedDiffFMLib")


def _is_usage(error: BaseException) -> bool:
    """Typer's own refusals (unknown option, missing argument); recognised by shape, as their class moved between
    versions.
    """
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _is_out_of_memory(error: BaseException) -> bool:
    """Python's MemoryError, torch's OutOfMemoryError (looked for by name: torch may not be loaded), or an allocator's
    complaint.
    """
    text = str(error).lower()
    complaint = "can't allocate memory" in text or "failed to allocate memory" in text or "out of memory" in text
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and complaint)
    )


def exit_code(error: BaseException) -> int:
    """0 done, 2 wrong usage or input, 3 cancelled, 4 out of memory, 1 anything else."""
    if isinstance(error, (Cancelled, KeyboardInterrupt)):
        return CANCELLED
    if isinstance(error, InputError) or _is_usage(error):
        return WRONG_INPUT
    return OUT_OF_MEMORY if _is_out_of_memory(error) else FAILED


def sentence(error: BaseException) -> str:
    """One line that says what happened and what to do."""
    code = exit_code(error)
    if code == CANCELLED:
        return "Cancelled; no file was written."
    if code == OUT_OF_MEMORY:
        return (
            "The memory was not enough: close other programs, crop the volume, or, if a GPU ran out, "
            "use --precision bfloat16 or --device cpu."
        )
    if _is_usage(error):
        return f"{error.format_message().rstrip('.')}; see --help."
    text = " ".join(str(error).split())
    if code == WRONG_INPUT:
        return text
    return f"{type(error).__name__}: {text[:400]} (run again with -v for the details)"


def report(error: BaseException) -> None:
    """The sentence on stderr; with -v the traceback too."""
    if log.isEnabledFor(logging.DEBUG):
        traceback.print_exception(error)
    print(f"meddiff-fm: {sentence(error)}", file=sys.stderr)
