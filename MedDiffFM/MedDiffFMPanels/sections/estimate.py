"""The estimate of a run's time and memory, asked of the worker a moment after the last change."""

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

DELAY_MS = 700
MAX_TRIES = 2  # to ask for one state, where the worker ended without an answer
PERMANENT = (
    "input",
    "usage",
    "missing-model",
    "disk-full",
    "packages",
    "other-version",
)  # failures that asking again would not mend


class EstimatePart:
    """Asks the worker for an estimate, on this computer only and where the packages are there; a run goes first."""

    def __init__(self, logic, inputs, parameters, show, onFacts, onEnd):
        """logic: of the task, for this alone; inputs, parameters: give them as the panel shows them; show: takes rich
        text; onFacts: takes what was found, None while it is not known; onEnd: called after an answer.
        """
        self._logic, self._inputs, self._parameters, self._showText = logic, inputs, parameters, show
        self._onFacts, self._notifyEnd = onFacts, onEnd
        self._packagesComplete, self._requestedState, self._facts = None, None, None
        self._tries = (None, 0)  # of asking: for which state, how often
        self._timer = Delay(DELAY_MS, self._request)

    @property
    def busy(self):
        return self._logic.busy

    def schedule(self, problem):
        """Something may have changed: what is known of another state is not shown."""
        state = None if problem else self._state()
        if state == self._requestedState:
            return
        self._requestedState = None
        self._show(None)
        self._timer.stop()
        if state is not None and self._canAsk():
            self._timer.start()

    def forget(self):
        """The place or its packages have changed: what runs there now is not waited for."""
        self.stop()
        self._packagesComplete, self._requestedState, self._tries = None, None, (None, 0)

    def stop(self):
        """Ask no more for now; what was not answered is asked again with the next change."""
        self._timer.stop()
        if self.busy:
            self._requestedState = None
        self._logic.leave()

    def _canAsk(self):
        """Whether the worker may be asked: nothing leaves this computer unasked, nothing starts that cannot work."""
        backend = savedBackend()
        if backend.remote:
            return False
        if self._packagesComplete is None:
            self._packagesComplete = backend.kind != "slicer" or not environment.missing()
        return self._packagesComplete

    def _state(self):
        """A key of all that the estimate depends on: it changes when another estimate is needed."""
        nodes = [node for node in self._inputs().values() if node]
        ignored = TASKS[self._logic.task].without_effect_on_estimate()
        plain = {
            name: value if isinstance(value, str) else inputKey(value)
            for name, value in self._parameters().items()
            if name not in ignored
        }
        return (tuple(map(inputKey, nodes)), tuple(sorted(plain.items(), key=str)))

    def _request(self):
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
        """What is wrong with the input is said at once, what else cannot be found out beforehand by the run. A worker
        that ended under way, by whatever it was, is started and asked once more.
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
    """Time and memory of a run, and the region that was found."""
    parts = []
    if facts.get("seconds") is not None:
        parts.append(_("about {time}").format(time=timeText(facts["seconds"])))
    if facts.get("memory_gb") is not None:
        parts.append(_("up to {gb:.1f} GB of memory").format(gb=facts["memory_gb"]))
    text = quiet(_("A run takes {what}.").format(what=", ".join(parts))) if parts else ""
    if facts.get("region"):
        text = quiet(_("Region found: {region}.").format(region=facts["region"])) + "<br/>" + text
    here = facts.get("memory_here_gb")
    if here and facts.get("memory_gb", 0) > 0.8 * here:
        advice = _("This computer has {gb:.0f} GB: limit the work to a box under Input.").format(gb=here)
        text += "<br/>" + warning(advice)
    return text
