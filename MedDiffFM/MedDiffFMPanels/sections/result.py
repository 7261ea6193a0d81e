"""Part 4 of a panel: the numbers that matter, and views that compare input and result."""

import qt
import slicer

from ..scene import exchange
from ..toolkit.bindings import fillCombo
from ..views.colors import warningsText

FLICKER_MS = 500


class ResultPart:
    def __init__(self, ui, task):
        self.ui, self._task, self._views = ui, task, task.compareViews()
        self._resultId, self._mode, self._previousMode = None, "result", "result"
        self._pendingIds = []  # of results that wait for the panel to be opened
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
            button.connect("toggled(bool)", lambda checked, button=button: _markChosen(button, checked))
        ui.samplesBox.connect("activated(int)", self._onSample)

    def setPending(self, nodes):
        """Remember the results of a run until `showPending`; none of an earlier run is shown any more."""
        self._pendingIds = [node.GetID() for node in nodes]

    def showPending(self):
        """Show the results of the last run, once. For an open panel alone: the views of another module may show
        another patient.
        """
        nodes, self._pendingIds = [slicer.mrmlScene.GetNodeByID(key) for key in self._pendingIds], []
        source = exchange.sourceOf(nodes[0]) if nodes and None not in nodes else None
        if source is not None:
            self.show(nodes, source)

    def show(self, nodes, source):
        """Show results; the first one in the views, the others to choose from."""
        self._resultId = nodes[0].GetID()
        self._views.setVolumes(source, nodes[0])
        record = exchange.provenanceOf(nodes[0])
        self.ui.resultLabel.text = self._task.resultText(nodes, record) + warningsText(record.get("warnings", ()))
        self.ui.resultSection.visible = True
        if not self._task.showResult(nodes, source):
            self.compare("result")
        fillCombo(self.ui.samplesBox, [(node.GetID(), node.GetName()) for node in nodes])
        self.ui.samplesBox.visible = len(nodes) > 1

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

    def showNext(self, step=1):
        """The next one of several results, or with -1 the previous one, in the views."""
        box = self.ui.samplesBox
        box.setCurrentIndex((box.currentIndex + step) % box.count)
        self._onSample(box.currentIndex)

    def compare(self, mode):
        """input, result, side, flicker or difference."""
        self._timer.stop()
        if self._mode != "side":
            self._previousMode = self._mode
        self._mode = mode
        self._buttons[mode].checked = True
        self._views.show(mode)
        if mode == "flicker":
            self._timer.start()

    def stop(self):
        """Nothing moves and no view is changed while the panel is not seen; the buttons say what the views show."""
        self._timer.stop()
        if self._resultId:
            self._mode = self._views.settle(self._mode, self._previousMode)
            self._buttons[self._mode].checked = True

    def clear(self):
        self._timer.stop()
        self._views.clear()
        self._resultId = None
        self.ui.resultSection.visible = False

    def forgetRemoved(self):
        if self._resultId and slicer.mrmlScene.GetNodeByID(self._resultId) is None:
            self.clear()


def _markChosen(button, chosen):
    """In bold what the views show: in a dark style a pressed button looks as any other."""
    font = button.font
    font.setBold(chosen)
    button.font = font
