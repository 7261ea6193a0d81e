"""Part 3 of a panel: one button that becomes Cancel, a bar with step and time left, messages, and the log."""

import html

from slicer.i18n import tr as _

from ..views.colors import warning


class RunPart:
    def __init__(self, ui):
        self.ui, self._hadFocus, self._running = ui, False, False
        ui.messageFrame.visible = ui.progressBar.visible = ui.statusLabel.visible = ui.logText.visible = False
        ui.estimateLabel.visible = False
        ui.logButton.connect("toggled(bool)", self._onLog)

    def showReady(self, problem, busy, otherBusy):
        """Whether the button can be clicked; if not, why. otherBusy: what else runs, in a sentence, or nothing."""
        button = self.ui.runButton
        if busy:
            self.ui.reasonLabel.visible = False
            return
        button.text = _("Run")
        button.enabled = problem is None and not otherBusy
        if button.enabled and self._hadFocus:  # it lost it while it was gray
            button.setFocus()
            self._hadFocus = False
        if problem:
            button.toolTip = problem.text
        elif otherBusy:
            button.toolTip = otherBusy
        else:
            button.toolTip = _("Start. The input stays as it is.")
        below = not self.ui.inputSection.collapsed and problem and problem.text in self.ui.inputLabel.text
        said = button.enabled or below  # the input's own problem stands below the input
        self.ui.reasonLabel.visible = not said
        self.ui.reasonLabel.text = "" if said else warning(html.escape(button.toolTip))

    def begin(self):
        self.ui.messageFrame.visible = self.ui.logText.visible = False
        self.ui.logButton.checked = False
        self.ui.runButton.text, self.ui.runButton.enabled = _("Cancel"), True
        self.ui.runButton.toolTip = _("Stop. Nothing is added to the scene.")
        self.ui.progressBar.maximum = 0  # it moves without a number until the first step
        self.ui.progressBar.visible = self.ui.statusLabel.visible = True
        self._running = True
        self.showEstimate(self.ui.estimateLabel.text)
        self.ui.statusLabel.text = _("Starting…")

    def showEstimate(self, text):
        """What a run would take, as rich text; it takes no room without words, or during a run."""
        self.ui.estimateLabel.text = text
        self.ui.estimateLabel.visible = bool(text) and not self._running

    def showProgress(self, event):
        if event["event"] == "accepted":
            self.ui.statusLabel.text = _("Loading the model…")
            return
        fraction = event.get("fraction") or 0.0
        if fraction <= 0:
            self.ui.statusLabel.text = _("Looking at the volume…")
            return
        self.ui.progressBar.maximum = 1000
        self.ui.progressBar.value = round(1000 * fraction)
        left = event.get("seconds_left")
        step = min(event["step"] + 1, event["steps"])
        parts = [_("Step {step} of {steps}").format(step=step, steps=event["steps"])]
        if left is not None:
            parts.append(_("{time} left").format(time=timeText(left)))
        self.ui.statusLabel.text = ", ".join(parts)

    def showCancelling(self):
        self._hadFocus = self.ui.runButton.focus
        self.ui.runButton.enabled = False
        self.ui.statusLabel.text = _("Cancelling…")

    def end(self, nodes, failure, log):
        self.ui.progressBar.visible = self.ui.statusLabel.visible = False
        self.ui.progressBar.maximum, self.ui.progressBar.value = 1000, 0
        self._running = False
        self.showEstimate(self.ui.estimateLabel.text)
        self.ui.logText.plainText = log
        if failure:
            self.showFailure(failure)
        elif not nodes:
            self.showMessage(_("Cancelled. The scene is as it was."))

    def showFailure(self, failure):
        """Say what went wrong and what to do."""
        lines = [f"<b>{html.escape(failure.title)}</b>", html.escape(failure.message), html.escape(failure.next)]
        self.ui.messageLabel.text = "<br/>".join(line for line in lines if line)
        self.ui.messageButton.visible = failure.kind == "packages"
        self.ui.logButton.visible = bool(self.ui.logText.plainText)
        self.ui.messageFrame.visible = True

    def showMessage(self, text):
        self.ui.messageLabel.text = html.escape(text)
        self.ui.messageButton.visible = self.ui.logButton.visible = False
        self.ui.messageFrame.visible = True

    def _onLog(self, shown):
        self.ui.logText.visible = shown
        self.ui.logButton.text = _("Hide log") if shown else _("Show log")


def timeText(seconds):
    """About: a radiologist needs no seconds of an hour."""
    if seconds < 60:
        return _("{n} s").format(n=max(1, round(seconds)))
    if seconds < 3600:
        return _("{n} min").format(n=round(seconds / 60))
    return _("{h} h {m} min").format(h=int(seconds // 3600), m=round(seconds % 3600 / 60))
