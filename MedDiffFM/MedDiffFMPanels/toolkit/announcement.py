"""What this Slicer computes now, in words: for its status bar, and for the panels that have to wait."""

import slicer
from slicer.i18n import tr as _

NOTE_MS = 15_000  # how long the status bar shows what came of it
_running = ""


def begin(what):
    """Say that something runs now. what: for example “Denoise: Chest CT”."""
    global _running
    _running = what
    slicer.util.showStatusMessage(what)


def progress(text):
    """Say how far it is."""
    slicer.util.showStatusMessage(f"{_running}. {text}" if text else _running)


def end(text, stays=False):
    """Say what came of it. stays: until something else is said, for a user who works elsewhere meanwhile."""
    global _running
    _running = ""
    slicer.util.showStatusMessage(text, 0 if stays else NOTE_MS)


def endText(task, nodes, failure, seen):
    """What came of a run, in a line. seen: whether its panel is open."""
    if failure:
        return f"{task}: {failure.title} {failure.message}"
    if not nodes:
        return _("{task}: cancelled.").format(task=task)
    text = _("{task}: “{name}” is there.").format(task=task, name=nodes[0].GetName())
    return text if seen else text + " " + _("Open the panel again to compare it with its input.")


def waitReason():
    """A sentence for the panels that cannot start now."""
    if _running:
        return _("{what} runs. Wait for its end, or cancel it in its panel.").format(what=_running)
    return _("A volume is being looked at: this takes a moment.")
