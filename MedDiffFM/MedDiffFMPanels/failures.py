"""What can go wrong, in words: a title, what happened, and what to do next."""

import re
from dataclasses import dataclass, replace

from slicer.i18n import tr as _

from MedDiffFMLib.crash_message import FAULT, crash_message

LAUNCHERS_WORDS = "exit abnormally"  # of CTKAppLauncher, for a program that a signal ended


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
    """Why a job gave no result. kind: as of the worker's errors, or one of this file's own."""

    kind: str
    message: str
    next: str

    @property
    def title(self):
        return titles().get(self.kind, _("It did not work."))


def titles():
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
    """A worker's `error` event: its own message, and a next step that names the panel's controls. A request that it
    finds wrong was right by the panel's own rules: the worker has others.
    """
    kind = event.get("kind", "crash")
    if kind == "usage":
        return otherVersion(event.get("message", ""))
    return Failure(kind, event.get("message", ""), nextSteps().get(kind) or event.get("next", ""))


def withNames(failure, inputs):
    """A failure that speaks of nodes by their names, where the worker spoke of the files that it was given."""
    if not isinstance(failure, Failure):
        return failure
    return replace(failure, message=named(failure.message, inputs))


def named(sentence, inputs):
    """A sentence of the worker with the names of nodes in place of the files that it was given."""
    for slot, node in inputs.items():
        name = f"“{node.GetName()}”"
        sentence = re.sub(rf"[^\s]*\b{re.escape(slot)}\.nrrd", lambda match, name=name: name, sentence)
    return sentence


def nextSteps():
    """What to do in a panel; other kinds keep the worker's advice."""
    return {
        "out-of-memory": _(
            "Close other programs, or limit the work to a box under Input, or choose the device “Processor (CPU)” "
            "under Advanced."
        ),
        "missing-model": _("Choose another model under Advanced, or download this one."),
        "disk-full": _("Free some space on the disk, then click Run again."),
        "crash": _("Click Run again. If it stops again, open the log and report it."),
        "input": _("Choose another volume or setting, as said above."),
        "packages": _("Click “Set up…”: it says what would be installed and where, and asks first."),
        "other-version": _(
            "Install the version of meddiff-fm that came with this panel where the worker runs, or choose another "
            "place under Advanced, “Where it runs”."
        ),
    }


def diskFull(folder):
    return Failure("disk-full", _("There is no room left in {folder}.").format(folder=folder), nextSteps()["disk-full"])


def deleted(name):
    return Failure(
        "deleted",
        _("“{name}” was deleted while the computation ran, so it was stopped.").format(name=name),
        _("Choose a volume that is there and click Run."),
    )


def sceneClosed():
    return Failure("scene-closed", _("The computation was stopped with it."), _("Load a volume to start again."))


def died(code, said, slicersPython):
    """A worker whose process ended without an answer. said: the end of what it wrote to stderr; slicersPython: whether
    it was Slicer's own Python.
    """
    line = crash_message(said)
    if "No module named" in line:
        there = _("Install meddiff-fm there, or choose another place under Advanced, “Where it runs”.")
        return Failure("packages", line, nextSteps()["packages"] if slicersPython else there)
    if _outOfMemory(code, said):
        message = _("The system ended it, most likely because the memory ran out.")
        return Failure("out-of-memory", message, nextSteps()["out-of-memory"])
    what = _("signal {number}").format(number=-code) if code and code < 0 else _("code {number}").format(number=code)
    return Failure("crash", _("It ended with {what}: {line}").format(what=what, line=line or "—"), nextSteps()["crash"])


def _outOfMemory(code, said):
    """Whether a process was killed by a signal that nobody here sent, or its allocator gave up. The launcher that
    PythonSlicer is makes code 1 of every signal; a fault of the program's own is told by Python before it ends.
    """
    killed = code == -9 or (code == 1 and LAUNCHERS_WORDS in said)
    return "bad_alloc" in said or (killed and FAULT.search(said) is None)


def noAnswer(seconds):
    return Failure(
        "no-worker",
        _("It did not answer within {seconds:.0f} seconds.").format(seconds=seconds),
        _("Try again, or choose another place under Advanced, “Where it runs”."),
    )


def otherVersion(what):
    return Failure("other-version", what, nextSteps()["other-version"])


def unexpected(error):
    text = f"{type(error).__name__}: {error}"
    return Failure("crash", text, nextSteps()["crash"])
