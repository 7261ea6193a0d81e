"""Checks before the set-up begins: what makes an installation impossible, and what may go wrong."""

import platform
import shutil
import sys
import sysconfig
import tempfile

import slicer
from slicer.i18n import tr as _

from ..failures import Problem
from . import environment

OLDEST = (5, 10)  # the first with a Python that MedDiffFMLib runs in: 5.8 has 3.9
SPACE = 3  # disk space as a multiple of the download: installed packages take twice as much, and pip keeps a cache
LONGEST_NAME = 175  # characters of the longest path within PyTorch
LONGEST_PATH = 259  # characters, unless long paths are enabled in Windows


def slicerProblem():
    """Why this Slicer cannot be used, or None."""
    version = slicer.app.majorVersion, slicer.app.minorVersion
    if version >= OLDEST:
        return None
    reason = _("MedDiff-FM needs Slicer {oldest} or newer, and this is Slicer {version}.")
    oldest, this = (".".join(map(str, numbers)) for numbers in (OLDEST, version))
    return Problem(reason.format(oldest=oldest, version=this), _("Install a newer Slicer from download.slicer.org."))


def obstacle(needed):
    """The Problem that keeps the needed packages from being installed in Slicer's Python, or None."""
    if problem := slicerProblem():
        return problem
    for package in environment.unfitPackages():
        way = _("Another extension may have changed it: install Slicer anew, or {elsewhere}")
        return Problem(environment.unfitText(package), way.format(elsewhere=elsewhere()))
    if not needed:
        return None
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        reason = _("PyTorch is no longer made for Macs with Intel processors.")
        way = _("Use a Mac with Apple silicon and Slicer's version for it, or {elsewhere}")
        return Problem(reason, way.format(elsewhere=elsewhere()))
    if environment.TORCH in needed and environment.TORCH in sys.modules and sys.platform == "win32":
        reason = _("PyTorch has to be replaced, but this Slicer is using it.")
        return Problem(reason, _("Restart Slicer, and open this set-up before anything else."))
    return _folderProblem(sysconfig.get_paths()["purelib"])


def elsewhere():
    """The end of a sentence that sends the user to another backend."""
    return _("choose another place under Advanced, “Where it runs”.")


def _folderProblem(folder):
    """The Problem that the folder of Slicer's packages cannot be written to, or None."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix="MedDiffFM-"):
            return None
    except OSError:
        pass
    ways = {
        "darwin": _("Quit Slicer, move it to your Applications folder, and start it from there."),
        "win32": _(
            "Install Slicer for the current user only, as its installer proposes, or start it once as administrator."
        ),
    }
    way = ways.get(sys.platform, _("Unpack Slicer into a folder of your own."))
    return Problem(_("Nothing can be written to {folder}.").format(folder=folder), way)


def warnings(needed):
    """Sentences on what may go wrong when these packages (`environment.Package`) are installed."""
    folder, sentences = sysconfig.get_paths()["purelib"], []
    space = SPACE * sum(package.megabytes for package in needed) / 1000
    free = shutil.disk_usage(folder).free / 1e9
    if free < space:
        text = _("The disk of this folder has {free:.1f} GB left; the set-up may take up to {space:.1f} GB.")
        sentences.append(text.format(free=free, space=space))
    torch = any(package.name == environment.TORCH for package in needed)
    if sys.platform == "win32" and torch and len(folder) + 1 + LONGEST_NAME > LONGEST_PATH:
        text = _(
            "The folder's name is long ({count} characters): Windows may refuse files of PyTorch. If it does, allow "
            "long paths in Windows, or install Slicer in a folder with a shorter name."
        )
        sentences.append(text.format(count=len(folder)))
    return sentences
