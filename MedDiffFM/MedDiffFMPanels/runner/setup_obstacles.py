"""What stands in the way of the set-up, said before it begins: what makes it impossible, and what may go wrong."""

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
SPACE = 3  # times the download: the packages take about twice as much, and pip keeps what it fetched
LONGEST_NAME = 175  # characters of the longest path within PyTorch
LONGEST_PATH = 259  # that Windows takes, unless it was told to take longer ones


def slicerProblem():
    """Why this Slicer cannot be used, or None."""
    version = slicer.app.majorVersion, slicer.app.minorVersion
    if version >= OLDEST:
        return None
    reason = _("MedDiff-FM needs Slicer {oldest} or newer, and this is Slicer {version}.")
    oldest, this = (".".join(map(str, numbers)) for numbers in (OLDEST, version))
    return Problem(reason.format(oldest=oldest, version=this), _("Install a newer Slicer from download.slicer.org."))


def obstacle(needed):
    """Why the packages that are needed cannot be installed in Slicer's Python, as a Problem, or None."""
    if problem := slicerProblem():
        return problem
    for own in environment.unfitPackages():
        way = _("Another extension may have changed it: install Slicer anew, or {elsewhere}")
        return Problem(environment.unfitText(own), way.format(elsewhere=elsewhere()))
    if not needed:
        return None
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        reason = _("PyTorch is no longer made for Macs with Intel processors.")
        way = _("On a Mac with Apple silicon use Slicer's version for it; on this one {elsewhere}")
        return Problem(reason, way.format(elsewhere=elsewhere()))
    if environment.TORCH in needed and environment.TORCH in sys.modules and sys.platform == "win32":
        reason = _("PyTorch has to be replaced, and this Slicer has it in use.")
        return Problem(reason, _("Start Slicer again, and open this set-up before anything else."))
    return _folderProblem(sysconfig.get_paths()["purelib"])


def elsewhere():
    return _("choose another place under Advanced, “Where it runs”.")


def _folderProblem(folder):
    """Why nothing can be written to the folder of Slicer's packages, or None."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix="MedDiffFM-"):
            return None
    except OSError:
        pass
    ways = {
        "darwin": _("Quit Slicer, move it to your Applications folder, and start it from there."),
        "win32": _("Install Slicer for you alone, which its installer proposes, or start it once as administrator."),
    }
    way = ways.get(sys.platform, _("Unpack Slicer into a folder of your own."))
    return Problem(_("Nothing can be written to {folder}.").format(folder=folder), way)


def warnings(needed):
    """What may go wrong with an installation of the packages (`environment.Package`), as sentences."""
    folder, found = sysconfig.get_paths()["purelib"], []
    wanted = SPACE * sum(package.megabytes for package in needed) / 1000
    free = shutil.disk_usage(folder).free / 1e9
    if free < wanted:
        text = _("The disk of that folder has {free:.1f} GB left; the set-up may take up to {wanted:.1f} GB.")
        found.append(text.format(free=free, wanted=wanted))
    torch = any(package.name == environment.TORCH for package in needed)
    if sys.platform == "win32" and torch and len(folder) + 1 + LONGEST_NAME > LONGEST_PATH:
        text = _(
            "The folder's name is long ({count} characters): Windows may refuse files of PyTorch. If it does, allow "
            "long paths in Windows, or install Slicer in a folder with a shorter name."
        )
        found.append(text.format(count=len(folder)))
    return found
