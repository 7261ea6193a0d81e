"""A result in the slice views, alone or under the organs that it was made from."""

import slicer
from slicer.i18n import tr as _


class OverlayViews:
    """Shows a synthetic CT, with or without its organs; used in place of `CompareViews` where the input is no CT.

    The mode “input” shows the organs over the result.
    """

    def __init__(self):
        self._ids, self._shown = {}, None

    def setVolumes(self, source, result):
        """Show this result and its organs (`source`, or None) from now on."""
        self.restoreLayout()
        self._ids = {"input": source.GetID(), "result": result.GetID()} if source else {"result": result.GetID()}

    def clear(self):
        """Show nothing, and restore the organs' visibility."""
        self.restoreLayout()
        self._ids = {}

    def show(self, mode):
        """Show result or input (the result with organs)."""
        result, organs = self._node("result"), self._node("input")
        if result is not None:
            slicer.util.setSliceViewerLayers(background=result, fit=True)
        if organs is not None:
            self._showOrgans(organs, mode == "input")

    def swap(self):
        """Do nothing: there is no flicker here."""

    def settle(self, mode, previous):
        """Restore the organs' visibility. Returns the mode that the views show now."""
        organs, shown = self._node("input"), self._shown
        self.restoreLayout()
        return mode if organs is None or shown is None else ("input" if shown else "result")

    def restoreLayout(self):
        """Restore the visibility that the organs had before."""
        organs, shown = self._node("input"), self._shown
        self._shown = None
        if organs is not None and shown is not None:
            self._showOrgans(organs, shown)
            self._shown = None

    def _showOrgans(self, organs, shown):
        if organs.IsA("vtkMRMLSegmentationNode"):
            display = organs.GetDisplayNode()
            if display:
                self._shown = display.GetVisibility2D() if self._shown is None else self._shown
                display.SetVisibility2D(shown)
        else:
            slicer.util.setSliceViewerLayers(label=organs if shown else None)

    def _node(self, key):
        return slicer.mrmlScene.GetNodeByID(self._ids.get(key) or "")


def nameButtons(ui):
    """Adapt a panel's result buttons to a result that is shown with or without its organs."""
    ui.resultViewButton.text = _("CT alone")
    ui.resultViewButton.toolTip = _("Show the synthetic CT in the slice views.")
    ui.inputViewButton.text = _("With organs")
    ui.inputViewButton.toolTip = _("Show the CT with the organs that it was made from.")
    for button in (ui.sideButton, ui.flickerButton, ui.differenceButton):
        button.visible = False
