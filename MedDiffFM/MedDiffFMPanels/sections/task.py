"""The section of a panel with the controls of one task. Each task has a subclass of `TaskPart` in tasks/."""

import html
from collections.abc import Callable
from dataclasses import dataclass

from ..views.compare import CompareViews


@dataclass(frozen=True)
class PanelActions:
    """The functions of a panel that a `TaskPart` may call."""

    refresh: Callable  # () → None: updates the panel
    showMessage: Callable  # (sentence) → None: shows a message to the user
    isOpen: Callable  # () → bool: whether this panel is open
    shownResult: Callable  # () → the node of the result in the views, or None
    renewResult: Callable  # () → None: shows the numbers of that result anew, after its voxels were changed
    showNextResult: Callable  # (step=1) → None: shows the next of several results in the views, with -1 the previous


class TaskPart:
    """The controls of one task: what a task's panel does in its own way."""

    title = ""
    compareViews = CompareViews  # how its results are compared with the input

    def __init__(self, ui, bindings, actions):
        """Subclasses fill combo boxes and connect widgets that are not bound by `SlicerParameterName`.

        ui: the panel's widgets. bindings: its settings. actions: its `PanelActions`.
        """
        self.ui, self.bindings, self.actions = ui, bindings, actions
        self.ui.taskSection.text = self.title

    @property
    def inputNode(self):
        """The node that the input selector shows, or None."""
        return self.bindings.chosenNode("input")

    def inputs(self):
        """The additional input nodes by the names of the task's files."""
        return {}

    def parameters(self):
        """The parameters that no widget holds under their own names."""
        return {}

    def inputParameters(self, chosen):
        """The parameters that the input tells by itself, unless they are `chosen`. A batch does not take them."""
        return {}

    def requestedOutputs(self):
        """The names of the outputs that a run is asked for besides the result. A batch does not make them."""
        return ()

    def update(self):
        """Show and hide controls after a setting has changed."""

    def leave(self, sceneCloses=False):
        """Stop acting on the views, because the panel is left or the scene is being closed."""

    def sceneClosed(self):
        """Prepare for a new scene, whether the panel is open or not."""

    def escape(self):
        """Stop what Esc stops. Returns whether there was something to stop."""
        return False

    def problem(self):
        """The Problem of the task's own settings, or None."""
        return None

    def showFacts(self, facts):
        """Show the facts of an estimate (a dict with region, noise_hu, seconds, memory_gb, …), or hide them if None."""

    def showResult(self, nodes, source):
        """Show a result in the views. Returns False if the panel shall do it by `compareViews`."""
        return False

    def resultText(self, nodes, provenance):
        """The text above the buttons of a result, with its key numbers, as rich text."""
        return html.escape(provenance.get("summary", ""))
