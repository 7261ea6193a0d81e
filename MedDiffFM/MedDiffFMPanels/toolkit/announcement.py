"""Sentences on what the panels compute now, for Slicer's status bar and for panels that have to wait."""

import slicer
from slicer.i18n import tr as _

NOTE_MS = 15_000  # how long the status bar shows the outcome
_running = ""


def begin(what):
    """Show in the status bar what runs now, for example “Denoise: Chest CT”."""
    global _running
    _running = what
    slicer.util.showStatusMessage(what)


def progress(text):
    """Show in the status bar how far the run is."""
    slicer.util.showStatusMessage(f"{_running}. {text}" if text else _running)


def end(text, stays=False):
    """Show the outcome in the status bar. stays: until the next message, for a user who works in another module."""
    global _running
    _running = ""
    slicer.util.showStatusMessage(text, 0 if stays else NOTE_MS)


def endText(task, nodes, failure, panelOpen):
    """A line on the outcome of a run. panelOpen: whether its panel is open."""
    if failure:
        return f"{task}: {failure.title} {failure.message}"
    if not nodes:
        return _("{task}: cancelled.").format(task=task)
    text = _("{task}: “{name}” is ready.").format(task=task, name=nodes[0].GetName())
    return text if panelOpen else text + " " + _("Open the panel again to compare it with its input.")


def waitReason():
    """A sentence that says why a panel cannot start now."""
    if _running:
        return _("{what} is running. Wait for its end, or cancel it in its panel.").format(what=_running)
    return _("Another panel is estimating a run. Wait a moment.")
