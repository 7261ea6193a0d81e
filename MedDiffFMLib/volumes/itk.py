"""ITK without its messages on the user's terminal."""

from __future__ import annotations

import contextlib
import locale
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import SimpleITK as sitk

from ..errors import InputError


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """A context in which what ITK, GDCM and MetaIO print on stderr goes nowhere; Python code inside must not log.

    MetaIO and the NIfTI library write to the process's stderr themselves, so the file descriptor is redirected. ITK's
    readers set the process's locale while they work: it is put back should one not do so.
    """
    previous_locale = locale.setlocale(locale.LC_CTYPE)
    warned = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        saved = os.dup(2)
    except OSError:  # no stderr at all, as in a windowed application
        saved = None
    try:
        if saved is not None:
            if sys.stderr is not None:
                sys.stderr.flush()
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, 2)
            os.close(devnull)
        yield
    finally:
        if saved is not None:
            os.dup2(saved, 2)
            os.close(saved)
        sitk.ProcessObject.SetGlobalWarningDisplay(warned)
        if locale.setlocale(locale.LC_CTYPE) != previous_locale:
            locale.setlocale(locale.LC_CTYPE, previous_locale)


def check_name(path: Path) -> Path:
    """The path, if ITK can open a file of that name: it takes names as UTF-8, and ends the process for others."""
    try:
        opens = str(path).encode() == os.fsencode(path)
    except UnicodeEncodeError:
        opens = False
    if not opens:
        shown = str(path).encode("utf-8", "backslashreplace").decode()
        raise InputError(f"{shown} cannot be opened, because its name is not UTF-8; rename it.")
    return path
