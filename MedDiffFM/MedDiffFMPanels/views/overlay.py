"""A result in the slice views, alone or with the organs that it was made of over it."""

import slicer
from slicer.i18n import tr as _


class OverlayViews:
    """In place of `CompareViews` where the input is no CT: “input” shows the organs over the result."""

    def __init__(self):
        self._ids, self._shown = {}, None

    def setVolumes(self, source, result):
        self.restoreLayout()
        self._ids = {"input": source.GetID(), "result": result.GetID()} if source else {"result": result.GetID()}

    def clear(self):
        self.restoreLayout()
        self._ids = {}

    def show(self, mode):
        result, organs = self._node("result"), self._node("input")
        if result is not None:
            slicer.util.setSliceViewerLayers(background=result, fit=True)
        if organs is not None:
            self._showOrgans(organs, mode == "input")

    def swap(self):
        """Nothing takes turns here."""

    def settle(self, mode, before):
        """Show the organs as they were shown before; returns the mode, as `CompareViews.settle`."""
        organs, shown = self._node("input"), self._shown
        self.restoreLayout()
        return mode if organs is None or shown is None else ("input" if shown else "result")

    def restoreLayout(self):
        """The organs as they were shown before."""
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
    """A panel's result buttons, where a result lies under the organs that it was made of."""
    ui.resultViewButton.text = _("CT alone")
    ui.resultViewButton.toolTip = _("Show the synthetic CT in the slice views.")
    ui.inputViewButton.text = _("With organs")
    ui.inputViewButton.toolTip = _("Show the organs that it was made of over it.")
    for button in (ui.sideButton, ui.flickerButton, ui.differenceButton):
        button.visible = False
