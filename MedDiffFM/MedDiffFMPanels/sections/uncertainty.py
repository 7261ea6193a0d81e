"""The uncertainty in a panel: whether the next run makes it, and its colors over the result that is there."""

import html

from slicer.i18n import tr as _

from ..scene import exchange, uncertainty
from ..views.colors import quiet

QUALITY = "balanced"  # the only one that averages orientations


class UncertaintyPart:
    """The check box above *Run*, and the button below a result."""

    def __init__(self, ui, bindings, actions):
        """actions: the panel's `PanelActions`."""
        self.ui, self._bindings, self._actions = ui, bindings, actions
        ui.uncertaintyButton.visible = False
        ui.uncertaintyButton.connect("clicked(bool)", self._onButton)

    @property
    def requested(self):
        """The names of the outputs that the next run is asked for besides the result."""
        return ("uncertainty",) if self._possible and self._bindings.value("uncertainty") == "true" else ()

    @property
    def _possible(self):
        return self._bindings.value("quality") == QUALITY and self._bindings.value("alone") != "true"

    def update(self):
        """Show whether an uncertainty is possible, and whether there is one."""
        self.ui.uncertaintyBox.enabled = self._possible
        self.ui.uncertaintyLabel.visible = not self._possible
        words = _("Uncertainty needs the quality Balanced: the others use one orientation, which has no spread.")
        self.ui.uncertaintyLabel.text = quiet(html.escape(words))
        self.ui.uncertaintyButton.visible = uncertainty.uncertaintyOf(self._actions.shownResult()) is not None

    def show(self, result):
        """Show the uncertainty of a new result over it; take that of another one away."""
        node = uncertainty.uncertaintyOf(result)
        uncertainty.showOver(node, False)
        self.ui.uncertaintyButton.checked = node is not None
        if node is not None:
            uncertainty.showOver(node, True)

    def _onButton(self, checked=False):
        node = uncertainty.uncertaintyOf(self._actions.shownResult())
        if node is not None:
            uncertainty.showOver(node, self.ui.uncertaintyButton.checked)


def uncertaintyText(node):
    """A line on the uncertainty of a result, or an empty text."""
    facts = exchange.provenanceOf(node).get("facts", {})
    found, share = facts.get("uncertainty"), facts.get("strength_percent", 100) / 100
    if uncertainty.uncertaintyOf(node) is None or not found:
        return ""
    text = _(
        "Uncertainty: the model's answers in {count} orientations differ by {half:.1f} HU (median; 95 %: below "
        "{most:.1f} HU). That is no error bar: what they all get wrong does not show."
    )
    half, most = (share * found[key] for key in ("full_median_hu", "full_percentile_95_hu"))
    return text.format(count=found["orientations"], half=half, most=most)
