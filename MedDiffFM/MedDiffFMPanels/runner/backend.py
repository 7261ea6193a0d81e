"""Where jobs run: in Slicer's Python, in another Python, or behind a command such as `ssh host meddiff-fm worker`.

A choice for the computer, not the scene: it lives in Slicer's settings.
"""

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ..toolkit.preferences import GROUP

KINDS = ("slicer", "python", "command")


@dataclass(frozen=True)
class Backend:
    """kind: one of KINDS. python: an interpreter's path; command: a line as for a shell, without its features."""

    kind: str = "slicer"
    python: str = ""
    command: str = ""

    @property
    def remote(self):
        """Whether volumes must pass within the lines, since the worker may not see this computer's files."""
        return self.kind == "command"

    def arguments(self, words=("worker",)):
        """A command of meddiff-fm as a list; what was typed as it stands on Windows, where each program takes its
        line apart itself, and a path in quotes must keep them. ValueError says what is missing.
        """
        if self.kind == "command":
            if not self.command.strip():
                raise ValueError(_("Type the command that starts the worker, for example: ssh host meddiff-fm worker"))
            if words != ("worker",):
                raise ValueError(_("The command only starts a worker: choose Slicer's Python or another one."))
            return shlex.split(self.command) if os.name == "posix" else self.command.strip()
        python = slicerPython() if self.kind == "slicer" else os.path.expanduser(self.python.strip().strip('"'))
        if not python or not (os.path.isfile(python) or shutil.which(python)):
            raise ValueError(_("There is no Python at “{path}”.").format(path=python))
        return [python, "-m", "MedDiffFMLib", *words]

    def environment(self):
        """Environment variables of the process: Slicer's own at its start for another Python, which finds
        MedDiffFMLib beside this package.
        """
        variables = dict(os.environ if self.kind == "slicer" else slicer.util.startupEnvironment())
        if self.kind != "command":
            paths = [str(libraryParent()), variables.get("PYTHONPATH") if self.kind == "slicer" else None]
            variables["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        variables["PYTHONUTF8"] = "1"
        return variables


def slicerPython():
    """The interpreter that comes with Slicer."""
    return shutil.which("PythonSlicer") or sys.executable


def libraryParent():
    """The folder that MedDiffFMLib lies in."""
    import MedDiffFMLib

    return Path(MedDiffFMLib.__file__).resolve().parents[1]


def savedBackend():
    settings = slicer.app.userSettings()
    values = {key: str(settings.value(GROUP + key) or "") for key in ("kind", "python", "command")}
    if values["kind"] not in KINDS:
        values["kind"] = "slicer"
    return Backend(**values)


def saveBackend(backend):
    settings = slicer.app.userSettings()
    for key in ("kind", "python", "command"):
        settings.setValue(GROUP + key, getattr(backend, key))
    settings.sync()
