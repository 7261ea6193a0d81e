"""Failures and problems as the user reads them: a title, what happened, and what to do next."""

import re
from dataclasses import dataclass, replace

from slicer.i18n import tr as _

from MedDiffFMLib.crash_message import FAULT, crash_message

LAUNCHER_MESSAGE = "exit abnormally"  # written by CTKAppLauncher when a signal ended its program


@dataclass(frozen=True)
class Problem:
    """Why something cannot be used or done now: `reason` says what is wrong, `suggestion` what to do, and `fix` names
    what the panel can do about it at a click, if it can.
    """

    reason: str
    suggestion: str
    fix: str = ""

    @property
    def text(self):
        return f"{self.reason} {self.suggestion}"


@dataclass(frozen=True)
class Failure(Exception):
    """The reason why a job gave no result. kind: a key of `titles`, or another kind of the worker's `error` events."""

    kind: str
    message: str
    next: str

    @property
    def title(self):
        return titles().get(self.kind, _("The run failed."))


def titles():
    """The titles of failures by their kinds."""
    return {
        "input": _("This input cannot be used."),
        "usage": _("This setting cannot be used."),
        "missing-model": _("The model's weights are missing."),
        "out-of-memory": _("The memory was not enough."),
        "disk-full": _("The disk is full."),
        "crash": _("The computation stopped unexpectedly."),
        "no-worker": _("The computation could not be started."),
        "packages": _("Python packages are missing."),
        "other-version": _("The worker has another version than this panel."),
        "deleted": _("A volume of this run was deleted."),
        "scene-closed": _("The scene was closed."),
    }


def fromEvent(event):
    """The failure that a worker's `error` event reports: its message, and a next step that names the panel's controls.
    The panel has checked its request, so a worker that rejects the request (“usage”) has another version.
    """
    kind = event.get("kind", "crash")
    if kind == "usage":
        return otherVersion(event.get("message", ""))
    return Failure(kind, event.get("message", ""), nextSteps().get(kind) or event.get("next", ""))


def withNodeNames(failure, inputs):
    """A failure with node names in its message in place of file names. `inputs` are the nodes by file slot."""
    if not isinstance(failure, Failure):
        return failure
    return replace(failure, message=replaceFileNames(failure.message, inputs))


def replaceFileNames(sentence, inputs):
    """A sentence of the worker with node names in place of file names. `inputs` are the nodes by file slot."""
    for slot, node in inputs.items():
        name = f"“{node.GetName()}”"
        sentence = re.sub(rf"[^\s]*\b{re.escape(slot)}\.nrrd", lambda match, name=name: name, sentence)
    return sentence


def nextSteps():
    """The next steps in a panel by kind of failure; the worker's own advice is kept for all other kinds."""
    return {
        "out-of-memory": _(
            "Close other programs, or limit the work to a box under Input, or choose the device “Processor (CPU)” "
            "under Advanced."
        ),
        "missing-model": _("Choose another model under Advanced, or download this one."),
        "disk-full": _("Free some space on the disk, then click Run again."),
        "crash": _("Click Run again. If it stops again, open the log and report it."),
        "input": _("Choose another volume or setting: the sentence above says what does not fit."),
        "packages": _(
            "Click “Set up…” to see what would be installed and where. Nothing is installed before you confirm."
        ),
        "other-version": _(
            "Install this panel's version of meddiff-fm where the worker runs, or choose another place under Advanced, "
            "“Where it runs”."
        ),
    }


def diskFull(folder):
    """The failure of a job that could not write to the folder."""
    return Failure("disk-full", _("There is no room left in {folder}.").format(folder=folder), nextSteps()["disk-full"])


def deleted(name):
    """The failure of a job whose node of this name was deleted."""
    return Failure(
        "deleted",
        _("“{name}” was deleted while the computation ran, so it was stopped.").format(name=name),
        _("Choose another volume and click Run."),
    )


def sceneClosed():
    """The failure of a job whose scene was closed."""
    return Failure(
        "scene-closed",
        _("The computation was stopped because its scene was closed."),
        _("Load a volume to start again."),
    )


def died(code, stderr, slicersPython):
    """The failure of a worker whose process ended without an answer.

    code: its exit code. stderr: the end of what it wrote there. slicersPython: whether it ran in Slicer's own Python.
    """
    line = crash_message(stderr)
    if "No module named" in line:
        elsewhere = _("Install meddiff-fm there, or choose another place under Advanced, “Where it runs”.")
        return Failure("packages", line, nextSteps()["packages"] if slicersPython else elsewhere)
    if _outOfMemory(code, stderr):
        message = _("The system ended the computation, most likely because the memory ran out.")
        return Failure("out-of-memory", message, nextSteps()["out-of-memory"])
    what = _("signal {number}").format(number=-code) if code and code < 0 else _("code {number}").format(number=code)
    return Failure(
        "crash", _("The process ended with {what}: {line}").format(what=what, line=line or "—"), nextSteps()["crash"]
    )


def _outOfMemory(code, stderr):
    """Whether a process ended because memory ran out: the system killed it, or its allocator failed.

    PythonSlicer is a launcher that turns every signal into exit code 1; after a crash of the program itself, Python
    writes a fault message.
    """
    killed = code == -9 or (code == 1 and LAUNCHER_MESSAGE in stderr)
    return "bad_alloc" in stderr or (killed and FAULT.search(stderr) is None)


def noAnswer(seconds):
    """The failure of a worker that did not answer within so many seconds."""
    return Failure(
        "no-worker",
        _("The worker did not answer within {seconds:.0f} seconds.").format(seconds=seconds),
        _("Try again, or choose another place under Advanced, “Where it runs”."),
    )


def otherVersion(reason):
    """The failure of a worker whose version does not fit the panel's; `reason` says how that was noticed."""
    return Failure("other-version", reason, nextSteps()["other-version"])


def unexpected(error):
    """The failure that an unexpected exception becomes."""
    text = f"{type(error).__name__}: {error}"
    return Failure("crash", text, nextSteps()["crash"])
