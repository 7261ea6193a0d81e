"""The Run section of a panel: the button Run or Cancel, progress with time left, messages and the log."""

import html

from slicer.i18n import tr as _

from ..views.colors import warning


class RunPart:
    """The controls of the Run section."""

    def __init__(self, ui):
        self.ui, self._hadFocus, self._running = ui, False, False
        ui.messageFrame.visible = ui.progressBar.visible = ui.statusLabel.visible = ui.logText.visible = False
        ui.estimateLabel.visible = False
        ui.logButton.connect("toggled(bool)", self._onLog)

    def showReady(self, problem, busy, otherBusy):
        """Enable the button, or show why it is disabled.

        problem: what keeps a run from starting, or None. busy: whether this panel's run is on. otherBusy: a sentence on
        what else runs, or an empty text.
        """
        button = self.ui.runButton
        if busy:
            self.ui.reasonLabel.visible = False
            return
        button.text = _("Run")
        button.enabled = problem is None and not otherBusy
        if button.enabled and self._hadFocus:  # which it lost while it was disabled
            button.setFocus()
            self._hadFocus = False
        if problem:
            button.toolTip = problem.text
        elif otherBusy:
            button.toolTip = otherBusy
        else:
            button.toolTip = _("Start the run. The input is not changed.")
        belowInput = not self.ui.inputSection.collapsed and problem and problem.text in self.ui.inputLabel.text
        hidden = button.enabled or belowInput  # a problem of the input is already shown below it
        self.ui.reasonLabel.visible = not hidden
        self.ui.reasonLabel.text = "" if hidden else warning(html.escape(button.toolTip))

    def begin(self):
        """Show that a run has begun."""
        self.ui.messageFrame.visible = self.ui.logText.visible = False
        self.ui.logButton.checked = False
        self.ui.runButton.text, self.ui.runButton.enabled = _("Cancel"), True
        self.ui.runButton.toolTip = _("Stop the run. Nothing is added to the scene.")
        self.ui.progressBar.maximum = 0  # a busy indicator until the first step
        self.ui.progressBar.visible = self.ui.statusLabel.visible = True
        self._running = True
        self.showEstimate(self.ui.estimateLabel.text)
        self.ui.statusLabel.text = _("Starting…")

    def showEstimate(self, text):
        """Show the estimate of a run as rich text; hidden if the text is empty, and during a run."""
        self.ui.estimateLabel.text = text
        self.ui.estimateLabel.visible = bool(text) and not self._running

    def showProgress(self, event):
        """Show the progress in an event of the worker."""
        if event["event"] == "accepted":
            self.ui.statusLabel.text = _("Loading the model…")
            return
        fraction = event.get("fraction") or 0.0
        if fraction <= 0:
            self.ui.statusLabel.text = _("Looking at the volume…")
            return
        self.ui.progressBar.maximum = 1000
        self.ui.progressBar.value = round(1000 * fraction)
        secondsLeft = event.get("seconds_left")
        step = min(event["step"] + 1, event["steps"])
        parts = [_("Step {step} of {steps}").format(step=step, steps=event["steps"])]
        if secondsLeft is not None:
            parts.append(_("{time} left").format(time=timeText(secondsLeft)))
        self.ui.statusLabel.text = ", ".join(parts)

    def showCancelling(self):
        """Show that the run is being cancelled."""
        self._hadFocus = self.ui.runButton.focus
        self.ui.runButton.enabled = False
        self.ui.statusLabel.text = _("Cancelling…")

    def end(self, nodes, failure, log):
        """Show how a run ended: with nodes, with a failure, or with neither after a cancel."""
        self.ui.progressBar.visible = self.ui.statusLabel.visible = False
        self.ui.progressBar.maximum, self.ui.progressBar.value = 1000, 0
        self._running = False
        self.showEstimate(self.ui.estimateLabel.text)
        self.ui.logText.plainText = log
        if failure:
            self.showFailure(failure)
        elif not nodes:
            self.showMessage(_("Cancelled. The scene was not changed."))

    def showFailure(self, failure):
        """Show a failure: what went wrong and what to do."""
        lines = [f"<b>{html.escape(failure.title)}</b>", html.escape(failure.message), html.escape(failure.next)]
        self.ui.messageLabel.text = "<br/>".join(line for line in lines if line)
        self.ui.messageButton.visible = failure.kind == "packages"
        self.ui.logButton.visible = bool(self.ui.logText.plainText)
        self.ui.messageFrame.visible = True

    def showMessage(self, text):
        """Show a sentence."""
        self.ui.messageLabel.text = html.escape(text)
        self.ui.messageButton.visible = self.ui.logButton.visible = False
        self.ui.messageFrame.visible = True

    def _onLog(self, shown):
        self.ui.logText.visible = shown
        self.ui.logButton.text = _("Hide log") if shown else _("Show log")


def timeText(seconds):
    """A duration as text, rounded: seconds under a minute, minutes under an hour, else hours and minutes."""
    if seconds < 60:
        return _("{n} s").format(n=max(1, round(seconds)))
    if seconds < 3600:
        return _("{n} min").format(n=round(seconds / 60))
    return _("{h} h {m} min").format(h=int(seconds // 3600), m=round(seconds % 3600 / 60))
