"""The estimate of a run's time and memory, which the worker makes a moment after the last change."""

import html

from slicer.i18n import tr as _

from MedDiffFMLib.parameters import TASKS

from ..failures import Failure
from ..runner import environment
from ..runner.backend import savedBackend
from ..runner.job import sharedWorker
from ..scene.input_changes import inputKey
from ..toolkit.timer_loop import Delay
from ..views.colors import quiet, warning, warningsText
from .run import timeText

DELAY_MS = 700  # from the last change until the worker is asked
MAX_TRIES = 2  # requests for one state if the worker ends without an answer
PERMANENT = ("input", "missing-model", "disk-full", "packages", "other-version")  # failures that recur when asked again


class EstimatePart:
    """Asks the worker for estimates, only on this computer and only if the packages are installed. Runs go first."""

    def __init__(self, logic, inputs, parameters, show, onFacts, onEnd):
        """logic: a `PanelLogic` for estimates only. inputs, parameters: return what the panel shows. show: called with
        rich text. onFacts: called with the facts of the estimate, or None while there are none. onEnd(answered): called
        after each request.
        """
        self._logic, self._inputs, self._parameters, self._showText = logic, inputs, parameters, show
        self._onFacts, self._notifyEnd = onFacts, onEnd
        self._packagesComplete, self._requestedState, self._facts = None, None, None
        self._tries = (None, 0)  # (state, number of requests for it)
        self._timer = Delay(DELAY_MS, self._request)

    @property
    def busy(self):
        """Whether the worker is being asked."""
        return self._logic.busy

    def schedule(self, problem):
        """Ask for an estimate soon if the panel's state has changed, and clear that of another state.

        problem: why there can be no run, or None.
        """
        state = None if problem else self._state()
        if state == self._requestedState:
            return
        self._requestedState = None
        self._show(None)
        self._timer.stop()
        if state is not None and self._canAsk():
            self._timer.start()

    def forget(self):
        """Forget everything, because the backend or its packages have changed."""
        self.stop()
        self._packagesComplete, self._requestedState, self._tries = None, None, (None, 0)

    def stop(self):
        """Stop asking; an unanswered request is repeated at the next change."""
        self._timer.stop()
        if self.busy:
            self._requestedState = None
        self._logic.leave()

    def _canAsk(self):
        """Whether the worker may be asked: only on this computer, because only a run may send data elsewhere, and only
        if the packages are installed.
        """
        backend = savedBackend()
        if backend.remote:
            return False
        if self._packagesComplete is None:
            self._packagesComplete = backend.kind != "slicer" or not environment.missing()
        return self._packagesComplete

    def _state(self):
        """A key that changes with everything that the estimate depends on."""
        nodes = [node for node in self._inputs().values() if node]
        ignored = TASKS[self._logic.task].without_effect_on_estimate()
        plain = {
            name: value if isinstance(value, str) else inputKey(value)
            for name, value in self._parameters().items()
            if name not in ignored
        }
        return (tuple(map(inputKey, nodes)), tuple(sorted(plain.items(), key=str)))

    def _request(self):
        """Ask the worker, or wait until it is free."""
        if sharedWorker().job is not None:
            self._timer.start()
            return
        self._requestedState = self._state()
        self._tries = (self._requestedState, self._tries[1] + 1 if self._tries[0] == self._requestedState else 1)
        try:
            self._logic.estimate(self._inputs(), self._parameters(), self._onEnd, savedBackend())
        except Failure:
            return
        self._showText(quiet(_("Looking at the volume…")))

    def _onEnd(self, event, failure):
        """Show the answer. Of failures only those of the input and of the worker's version are shown; the others are
        left to the run. If the worker ended without an answer, it is asked once more.
        """
        self._show(event["facts"] if event else None, event["warnings"] if event else ())
        final = event or (failure and failure.kind in PERMANENT)
        if not final and self._tries[1] < MAX_TRIES:
            self._requestedState = None
        if failure and failure.kind == "input":
            self._showText(warning(html.escape(failure.message)))
        elif failure and failure.kind == "other-version":
            self._showText(warning(html.escape(f"{failure.title} {failure.message} {failure.next}")))
        self._notifyEnd(answered=event is not None)

    def _show(self, facts, warnings=()):
        self._facts = facts
        self._onFacts(facts)
        self._showText(estimateText(facts) + warningsText(warnings) if facts else "")


def estimateText(facts):
    """Rich text on the region that was found, and on the time and memory that a run takes."""
    parts = []
    if facts.get("seconds") is not None:
        parts.append(_("about {time}").format(time=timeText(facts["seconds"])))
    if facts.get("memory_gb") is not None:
        parts.append(_("up to {gb:.1f} GB of memory").format(gb=facts["memory_gb"]))
    text = quiet(_("A run takes {what}.").format(what=", ".join(parts))) if parts else ""
    if facts.get("region"):
        text = quiet(_("Region found: {region}.").format(region=facts["region"])) + "<br/>" + text
    available = facts.get("memory_here_gb")
    if available and facts.get("memory_gb", 0) > 0.8 * available:
        advice = _("This computer has {gb:.0f} GB: limit the work to a box under Input.").format(gb=available)
        text += "<br/>" + warning(advice)
    return text
