"""The errors a user can meet, by what they can do about them. Standard library only."""

from __future__ import annotations

import errno

from .extras import advice, extra_of


class InputError(ValueError):
    """An input that cannot be used. The message is one sentence: what, why, and what to do. Exit code 2."""


class UsageError(InputError):
    """A request that is wrong whatever the files hold: an unknown task, parameter or value."""


class MissingModelError(InputError):
    """A model that is not on this computer and could not be downloaded."""


class DiskFullError(InputError):
    """A disk without room for the result."""


class Cancelled(Exception):
    """A run that the user stopped. Nothing is left behind. Exit code 3."""


# what a user can do about an error of each kind, where its message does not say more
NEXT_STEPS = {
    "usage": "Correct the request.",
    "input": "Give another file or setting, as the message says.",
    "out-of-memory": (
        "Close other programs, limit the work to a box (--roi), or, if a GPU ran out, "
        "use --precision bfloat16 or --device cpu."
    ),
    "missing-model": "Choose an installed model, or download this one (meddiff-fm models download).",
    "disk-full": "Free some space, or write to another disk.",
    "crash": "Run it again; if it fails again, report it with the log.",
}


# of OSError: no room on the disk, in the quota, or for a file of this size
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def kind_of(error: BaseException) -> str:
    """The kind of an error, for programs: cancelled, or one of `NEXT_STEPS`."""
    if isinstance(error, (Cancelled, KeyboardInterrupt)):
        return "cancelled"
    if isinstance(error, DiskFullError) or getattr(error, "errno", None) in NO_ROOM:
        return "disk-full"
    if isinstance(error, MissingModelError):
        return "missing-model"
    if isinstance(error, UsageError):
        return "usage"
    if isinstance(error, InputError) or _is_missing_extra(error):
        return "input"
    return "out-of-memory" if _is_out_of_memory(error) else "crash"


def in_words(error: BaseException) -> str:
    """An error in one line."""
    kind = kind_of(error)
    if kind == "cancelled":
        return str(error) or "Cancelled; no file was written."
    if kind == "out-of-memory":
        return f"The memory was not enough. {NEXT_STEPS[kind]}"
    text = " ".join(str(error).split())
    if isinstance(error, InputError):
        return text
    if _is_missing_extra(error):
        return advice([error.name.partition(".")[0]])
    if kind == "disk-full":
        return f"There is no room left on the disk: {NEXT_STEPS[kind]}"
    return f"{type(error).__name__}: {text[:400]}"


def _is_missing_extra(error: BaseException) -> bool:
    """Whether a package is missing that one of the extras installs."""
    return isinstance(error, ImportError) and extra_of(error.name) is not None


# what allocators say, and oneDNN of networks that it computes otherwise
OUT_OF_MEMORY = ("can't allocate memory", "failed to allocate memory", "out of memory", "could not create a primitive")


def _is_out_of_memory(error: BaseException) -> bool:
    """Python's MemoryError, torch's OutOfMemoryError (looked for by name: torch may not be loaded), or an allocator's
    complaint.
    """
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and any(words in text for words in OUT_OF_MEMORY))
    )
