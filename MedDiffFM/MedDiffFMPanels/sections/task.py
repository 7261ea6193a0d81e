"""Part 2 of a panel: the controls of one task. Each task has a subclass in tasks/."""

import html
from collections.abc import Callable
from dataclasses import dataclass

from ..views.compare import CompareViews


@dataclass(frozen=True)
class PanelActions:
    """The functions of a panel that the part of a task may call."""

    refresh: Callable  # () → None: shows anew what can be done
    showMessage: Callable  # (sentence) → None: shows a message to the user
    isOpen: Callable  # () → bool: whether this panel is the one that is open
    shownResultId: Callable  # () → the ID of the result in the views, or None
    showNextResult: Callable  # (step=1) → None: puts the next of several results into the views, with -1 the previous


class TaskPart:
    title = ""
    compareViews = CompareViews  # how its results are compared with the input

    def __init__(self, ui, bindings, actions):
        """Fill combo boxes and connect what is not bound by `SlicerParameterName`. ui: the panel's widgets; bindings:
        its settings; actions: its `PanelActions`.
        """
        self.ui, self.bindings, self.actions = ui, bindings, actions
        self.ui.taskSection.text = self.title

    @property
    def inputNode(self):
        """The node that the input selector shows, or None."""
        return self.bindings.chosenNode("input")

    def inputs(self):
        """Further input nodes by the names of the task's files."""
        return {}

    def parameters(self):
        """Parameters that no widget holds by their own name."""
        return {}

    def update(self):
        """A setting has changed."""

    def leave(self, sceneCloses=False):
        """The panel is left: nothing of it may act on the views any more."""

    def sceneClosed(self):
        """The scene is empty now, or another one, whether the panel is seen or not."""

    def escape(self):
        """Esc was pressed. True if the task had something to stop."""
        return False

    def problem(self):
        """The Problem of the task's own settings, or None."""
        return None

    def showFacts(self, facts):
        """Show the facts of an estimate (region, noise_hu, seconds, memory_gb), or hide them if there are None."""

    def showResult(self, nodes, source):
        """Show a result in the views. True if the task did; else the panel compares it with its source."""
        return False

    def resultText(self, nodes, provenance):
        """The numbers that matter, as rich text."""
        return html.escape(provenance.get("summary", ""))
