"""Where jobs run: in Slicer's Python, in another Python, or behind a command such as `ssh host meddiff-fm worker`.

The choice belongs to the computer, not to the scene: it is kept in Slicer's settings.
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
    """The place where jobs run. kind: of KINDS. python: an interpreter's path. command: a line, not run by a shell."""

    kind: str = "slicer"
    python: str = ""
    command: str = ""

    @property
    def remote(self):
        """Whether volumes travel inside requests and answers, because the worker may not see this computer's files."""
        return self.kind == "command"

    def arguments(self, words=("worker",)):
        """The command line that starts `meddiff-fm` with these words, as a list of arguments.

        On Windows a typed command is returned unsplit: each program splits its own command line there, and a quoted
        path must keep its quotes. ValueError says what is missing.
        """
        if self.kind == "command":
            if not self.command.strip():
                raise ValueError(_("Type the command that starts the worker, for example: ssh host meddiff-fm worker"))
            if words != ("worker",):
                raise ValueError(_("A command can only start the worker: choose Slicer's Python or another one."))
            return shlex.split(self.command) if os.name == "posix" else self.command.strip()
        python = slicerPython() if self.kind == "slicer" else os.path.expanduser(self.python.strip().strip('"'))
        if not python or not (os.path.isfile(python) or shutil.which(python)):
            raise ValueError(_("There is no Python at “{path}”.").format(path=python))
        return [python, "-m", "MedDiffFMLib", *words]

    def environment(self):
        """The environment variables of the process: Slicer's present ones for Slicer's Python, else those that Slicer
        was started with. PYTHONPATH has the folder of MedDiffFMLib first.
        """
        variables = dict(os.environ if self.kind == "slicer" else slicer.util.startupEnvironment())
        if self.kind != "command":
            paths = [str(libraryParent()), variables.get("PYTHONPATH") if self.kind == "slicer" else None]
            variables["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        variables["PYTHONUTF8"] = "1"
        return variables


def slicerPython():
    """The path of the Python interpreter that comes with Slicer."""
    return shutil.which("PythonSlicer") or sys.executable


def libraryParent():
    """The folder that contains MedDiffFMLib."""
    import MedDiffFMLib

    return Path(MedDiffFMLib.__file__).resolve().parents[1]


def savedBackend():
    """The backend in Slicer's settings."""
    settings = slicer.app.userSettings()
    values = {key: str(settings.value(GROUP + key) or "") for key in ("kind", "python", "command")}
    if values["kind"] not in KINDS:
        values["kind"] = "slicer"
    return Backend(**values)


def saveBackend(backend):
    """Write a backend to Slicer's settings."""
    settings = slicer.app.userSettings()
    for key in ("kind", "python", "command"):
        settings.setValue(GROUP + key, getattr(backend, key))
    settings.sync()
