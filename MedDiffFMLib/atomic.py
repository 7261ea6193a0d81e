"""Files that appear whole or not at all: each is written under a hidden name beside its own and renamed once complete.
Standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import DiskFullError, InputError, kind_of

LONGEST_NAME = 255  # bytes, where the file system does not say
DAY = 24 * 3600.0
IN_USE_SECONDS = 1.0  # on Windows a file that a virus scanner or a panel has open cannot be replaced
RETRY_SECONDS = 0.05
TABLE = {"mode": "w", "newline": "", "encoding": "utf-8", "errors": "backslashreplace"}  # a name may be no text
_HIDDEN = re.compile(r"\.[0-9a-f]{32}\.part.*")


def hidden_name(path: Path, suffix: str | None = None) -> Path:
    """A new hidden name in the folder of `path`, short whatever the length of its own, with its suffix or another."""
    if suffix is None:
        suffix = path.name[-7:] if path.name.lower().endswith(".nii.gz") else path.suffix
    return path.with_name(f".{uuid.uuid4().hex}.part{suffix}")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A hidden name to write a file under, which then takes the name `path`; nothing is left if that fails. Errors as
    of `naming`.
    """
    part = hidden_name(path)
    try:
        with naming(path):
            yield part
            move_into_place(part, path)
    finally:
        part.unlink(missing_ok=True)


def move_into_place(new: str | os.PathLike, path: str | os.PathLike) -> None:
    """Rename the finished file `new` to `path`, which is replaced if it exists.

    A file that another program has open is tried again for a second; then PermissionError.
    """
    deadline = time.monotonic() + IN_USE_SECONDS
    while True:
        try:
            os.replace(new, path)
            return
        except PermissionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(RETRY_SECONDS)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """A context that turns errors of the file system into InputError (DiskFullError) that names `path`, the output."""
    try:
        yield
    except OSError as error:
        refusal = DiskFullError if kind_of(error) == "disk-full" else InputError
        reason = error.strerror or error
        raise refusal(f"{path} could not be written ({reason}); check the free space and permissions.") from None


def check_name(path: Path) -> None:
    """Check a file's name: InputError if it is longer than its folder can hold."""
    length, longest = len(os.fsencode(path.name)), _longest_name(path.parent)
    if length > longest:
        raise InputError(f"{path} cannot be written: its name has {length} bytes, {longest} are possible; shorten it.")


def check_place(path: Path) -> None:
    """Check an output's place: InputError unless a file can be made there: a hidden one is made and removed."""
    check_name(path)
    folder, trial = path.parent, hidden_name(path, ".try")
    if not folder.is_dir():
        raise InputError(f"{path} cannot be written, its folder does not exist; create {folder} first.")
    try:
        trial.touch()
    except OSError as error:
        if kind_of(error) == "disk-full":
            raise DiskFullError(f"{path} cannot be written, the disk is full: free some space.") from None
        closed = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
        why = "its folder is read-only" if closed else f"its folder takes no file ({error.strerror})"
        raise InputError(f"{path} cannot be written, {why}; choose another folder.") from None
    finally:
        with contextlib.suppress(OSError):
            trial.unlink()


def check_room(path: Path, count: int) -> None:
    """DiskFullError unless the folder of `path` has room for so many bytes."""
    free = shutil.disk_usage(path.parent).free
    if free < count:
        raise DiskFullError(
            f"{path} cannot be written, it takes {_size(count)} and its disk has {_size(free)} left: "
            "free some space, or write to another disk."
        )


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def _longest_name(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, ValueError, OSError):  # Windows; a folder that is not there
        return LONGEST_NAME


def remove_partial_files(folder: Path, older_than: float = 0.0) -> int:
    """Remove the files that killed runs left under hidden names in a folder, if last changed so many seconds ago, and
    return their number. Nobody may be writing them.
    """
    last, left = time.time() - older_than, []
    for path in folder.iterdir():
        if _HIDDEN.fullmatch(path.name) and path.lstat().st_mtime <= last:
            left.append(path)
    for path in left:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(left)
