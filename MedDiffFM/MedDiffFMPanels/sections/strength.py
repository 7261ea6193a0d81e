"""The strength of denoising in a panel: of the next run, and at once of a result that is there."""

import html

from slicer.i18n import tr as _

from MedDiffFMLib.parameters.denoise import FULL_STRENGTH, STRENGTHS

from ..scene import mixed_results
from ..toolkit.timer_loop import Delay
from ..views.colors import quiet, warning
from .result import markChosen

LEAST_PERCENT = 2.0  # but 0: less is refused elsewhere, 1 may be meant as a share
MIX_MS = 60  # from the last step of the slider until the voxels are mixed


class StrengthPart:
    """The slider and the buttons of the levels."""

    def __init__(self, ui, bindings, actions):
        """actions: the panel's `PanelActions`."""
        self.ui, self._bindings, self._actions = ui, bindings, actions
        self._check, self._delay = mixed_results.MixCheck(), Delay(MIX_MS, self.mixShown)
        self._buttons = {"light": ui.lightButton, "medium": ui.mediumButton, "full": ui.fullButton}
        for level, button in self._buttons.items():
            button.connect("clicked(bool)", lambda checked, level=level: self._onLevel(level))
            button.connect("toggled(bool)", lambda checked, button=button: markChosen(button, checked))
        ui.strengthSlider.connect("valueChanged(double)", self._onSlider)

    @property
    def percent(self):
        """The chosen strength, 0 to 100 %."""
        return float(self._bindings.value("strength"))

    def update(self):
        """Show the levels, and what the slider does now."""
        mixed_results.removeOrphans()
        for level, button in self._buttons.items():
            button.checked = self.percent == STRENGTHS[level]
        result = self._result()
        problem = self._check.problem(result) if result else None
        for widget in (self.ui.strengthSlider, *self._buttons.values()):
            widget.enabled = problem is None
        text = warning(html.escape(problem.text)) if problem else quiet(html.escape(self._hint(result)))
        self.ui.strengthLabel.text = text

    def _hint(self, result):
        """A sentence on what the strength belongs to. result: the mix that follows it, or None."""
        if result:
            words = _("“{name}” is at {percent:g} % and follows at once.")
            return words.format(name=result.GetName(), percent=mixed_results.strengthOf(result))
        if self._bindings.value("quality") == "paper" and self.percent != STRENGTHS[FULL_STRENGTH]:
            return _("As published is Full; less is that mixed with the CT.")
        return _("Share of the noise that is taken away. It can be changed after the run too.")

    def stop(self):
        """Forget a change that was not mixed yet."""
        self._delay.stop()

    def mixShown(self):
        """Bring the result to the chosen strength, if it can be mixed."""
        self._delay.stop()
        result = self._result()
        if result is None or self._check.problem(result) or mixed_results.strengthOf(result) == self.percent:
            return
        mixed_results.setStrength(result, self.percent)
        self._actions.renewResult()
        self._actions.refresh()

    def _result(self):
        """The mix that the slider changes: the one in the views, else the newest of the chosen CT; or None."""
        shown = self._actions.shownResult()
        if shown is not None and mixed_results.fullOf(shown) is not None:
            return shown
        source = self._bindings.chosenNode("input")
        return mixed_results.newestOf(source) if source is not None else None

    def _onLevel(self, level):
        self.ui.strengthSlider.value = STRENGTHS[level]
        self._actions.refresh()  # a second click on a level leaves its button pressed

    def _onSlider(self, value):
        if 0 < value < LEAST_PERCENT:
            self.ui.strengthSlider.value = LEAST_PERCENT  # comes back here
            return
        if not self._bindings.synchronizing:  # it was moved by the user, not by a scene that is being loaded
            self._delay.start()
