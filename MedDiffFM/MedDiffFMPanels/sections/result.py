"""The Result section of a panel: the key numbers, and buttons that compare input and result in the views."""

import qt
import slicer

from ..scene import exchange
from ..toolkit.bindings import fillCombo
from ..views.colors import warningsText

FLICKER_MS = 500


class ResultPart:
    """The controls of the Result section."""

    def __init__(self, ui, task):
        self.ui, self._task, self._views = ui, task, task.compareViews()
        self._resultId, self._mode, self._previousMode = None, "result", "result"
        self._pendingIds = []  # of results to show when the panel is opened
        ui.resultSection.visible = False
        self._timer = qt.QTimer()
        self._timer.setInterval(FLICKER_MS)
        self._timer.connect("timeout()", self._views.swap)
        self._buttons = {
            "input": ui.inputViewButton,
            "result": ui.resultViewButton,
            "side": ui.sideButton,
            "flicker": ui.flickerButton,
            "difference": ui.differenceButton,
        }
        for mode, button in self._buttons.items():
            button.connect("clicked(bool)", lambda checked, mode=mode: self.compare(mode))
            button.connect("toggled(bool)", lambda checked, button=button: markChosen(button, checked))
        ui.samplesBox.connect("activated(int)", self._onSample)

    def setPending(self, nodes):
        """Remember the results of a run for `showPending`, in place of those of an earlier run."""
        self._pendingIds = [node.GetID() for node in nodes]

    def showPending(self):
        """Show the results of the last run, once. Called only while the panel is open: in another module the views may
        show another patient.
        """
        nodes, self._pendingIds = [slicer.mrmlScene.GetNodeByID(key) for key in self._pendingIds], []
        source = exchange.sourceOf(nodes[0]) if nodes and None not in nodes else None
        if source is not None:
            self.show(nodes, source)

    def show(self, nodes, source):
        """Show the first result in the views, and offer the others to choose from."""
        self._resultId = nodes[0].GetID()
        self._views.setVolumes(source, nodes[0])
        self._showText(nodes)
        self.ui.resultSection.visible = True
        if not self._task.showResult(nodes, source):
            self.compare("result")
        fillCombo(self.ui.samplesBox, [(node.GetID(), node.GetName()) for node in nodes])
        self.ui.samplesBox.visible = len(nodes) > 1

    def _showText(self, nodes):
        record = exchange.provenanceOf(nodes[0])
        self.ui.resultLabel.text = self._task.resultText(nodes, record) + warningsText(record.get("warnings", ()))

    def renew(self):
        """Show the numbers and the difference of the result anew, after its voxels were changed."""
        if self.shown is not None:
            self._showText([self.shown])
            self._views.renewDifference(isShown=self._mode == "difference")

    def _onSample(self, index):
        node = slicer.mrmlScene.GetNodeByID(self.ui.samplesBox.currentData or "")
        if node:
            self._resultId = node.GetID()
            self._views.setVolumes(exchange.sourceOf(node), node)
            self.compare(self._mode)

    @property
    def shownId(self):
        """The id of the result that is compared with the input, or None."""
        return self._resultId

    @property
    def shown(self):
        """The node of the result that is compared with the input, or None."""
        return slicer.mrmlScene.GetNodeByID(self._resultId or "")

    def showNext(self, step=1):
        """Show the next of several results in the views, or with -1 the previous one."""
        box = self.ui.samplesBox
        box.setCurrentIndex((box.currentIndex + step) % box.count)
        self._onSample(box.currentIndex)

    def compare(self, mode):
        """Show input, result, side, flicker or difference in the views."""
        self._timer.stop()
        if self._mode != "side":
            self._previousMode = self._mode
        self._mode = mode
        self._buttons[mode].checked = True
        self._views.show(mode)
        if mode == "flicker":
            self._timer.start()

    def stop(self):
        """Stop the flicker and leave the views in a normal state; called when the panel is left."""
        self._timer.stop()
        if self._resultId:
            self._mode = self._views.settle(self._mode, self._previousMode)
            self._buttons[self._mode].checked = True

    def clear(self):
        """Show no result any more."""
        self._timer.stop()
        self._views.clear()
        self._resultId = None
        self.ui.resultSection.visible = False

    def forgetRemoved(self):
        """Clear the section if the result in the views was removed from the scene."""
        if self._resultId and slicer.mrmlScene.GetNodeByID(self._resultId) is None:
            self.clear()


def markChosen(button, chosen):
    """Print the button of the present mode in bold: in a dark style a pressed button looks like the others."""
    font = button.font
    font.setBold(chosen)
    button.font = font
