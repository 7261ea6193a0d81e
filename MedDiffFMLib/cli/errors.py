"""Errors in the shell: one sentence on stderr and an exit code."""

from __future__ import annotations

import logging
import sys
import traceback

from ..errors import in_words, kind_of

DONE, FAILED, WRONG_INPUT, CANCELLED, OUT_OF_MEMORY = range(5)
_CODES = {"cancelled": CANCELLED, "out-of-memory": OUT_OF_MEMORY, "crash": FAILED}  # all others: WRONG_INPUT

log = logging.getLogger("MedDiffFMLib")


def _is_usage(error: BaseException) -> bool:
    """Whether an error is one of Typer's own refusals (unknown option, missing argument); recognized by shape, as their
    class moved between versions.
    """
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def exit_code(error: BaseException) -> int:
    """The exit code of an error: 2 wrong usage or input, 3 cancelled, 4 out of memory, 1 anything else."""
    return WRONG_INPUT if _is_usage(error) else _CODES.get(kind_of(error), WRONG_INPUT)


def sentence(error: BaseException, details: bool = False) -> str:
    """The line that says what happened and what to do. details: whether the command has -v, which shows more."""
    if _is_usage(error):
        return f"{error.format_message().rstrip('.')}; see --help."
    hint = " (run again with -v for the details)" if details and kind_of(error) == "crash" else ""
    return in_words(error) + hint


def report(error: BaseException, details: bool = False) -> None:
    """Print the sentence about an error on stderr; with -v the traceback too."""
    if log.isEnabledFor(logging.DEBUG):
        traceback.print_exception(error)
    print(f"meddiff-fm: {sentence(error, details)}", file=sys.stderr)
