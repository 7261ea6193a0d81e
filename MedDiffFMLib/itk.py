"""ITK without its messages on the user's terminal."""

from __future__ import annotations

import contextlib
import locale
import os
import sys
from collections.abc import Iterator

import SimpleITK as sitk


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send what ITK, GDCM and MetaIO print on stderr to nowhere; Python code inside must not log.

    MetaIO and the NIfTI library write to the process's stderr themselves, so the file descriptor is redirected. ITK's
    readers set the process's locale while they work: it is put back should one not do so.
    """
    spoken = locale.setlocale(locale.LC_CTYPE)
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
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.close(nowhere)
        yield
    finally:
        if saved is not None:
            os.dup2(saved, 2)
            os.close(saved)
        sitk.ProcessObject.SetGlobalWarningDisplay(warned)
        if locale.setlocale(locale.LC_CTYPE) != spoken:
            locale.setlocale(locale.LC_CTYPE, spoken)
