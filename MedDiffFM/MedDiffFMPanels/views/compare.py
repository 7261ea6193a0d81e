"""Input and result in the slice views: one of them, both side by side or alternating, or their difference."""

import numpy as np
import slicer
from slicer.i18n import tr as _


class CompareViews:
    """Shows an input volume and its result in the slice views."""

    def __init__(self):
        self._ids, self._layout, self._showsResult = {}, None, True
        self._backgrounds = {}  # by view: the IDs of the volumes that “side by side” shows, and that it replaced

    def setVolumes(self, source, result):
        """Compare these two volumes from now on."""
        self.restoreLayout()
        self._removeDifference()
        self._ids = {"input": source.GetID(), "result": result.GetID()}

    def clear(self):
        """Compare nothing, and restore the layout."""
        self.restoreLayout()
        self._removeDifference()
        self._ids = {}

    def show(self, mode):
        """Show input, result, side, flicker or difference."""
        if mode == "side":
            self._sideBySide()
            return
        self.restoreLayout()
        if mode == "difference":
            self._background(self._difference())
        else:
            self._showsResult = mode != "input"
            self._background(self._node("result" if self._showsResult else "input"))

    def renewDifference(self, isShown):
        """Forget the difference, because the result was changed; compute it anew if it is shown."""
        self._removeDifference()
        if isShown:
            self.show("difference")

    def swap(self):
        """Show the other one of input and result."""
        self._showsResult = not self._showsResult
        self._background(self._node("result" if self._showsResult else "input"))

    def restoreLayout(self):
        """Restore the views as they were before “side by side”, except what the user has changed since."""
        layout, self._layout = self._layout, None
        manager = slicer.app.layoutManager()
        if layout is not None and manager is not None:
            manager.setLayout(layout["number"])
            _sliceNode("Yellow").SetOrientation(layout["orientation"])
            _setSlice(_sliceNode("Yellow"), layout["sliceToRAS"])
            for name, linked in layout["linked"].items():
                _composite(name).SetLinkedControl(linked)
            for name, (shown, previous) in self._backgrounds.items():
                if _composite(name).GetBackgroundVolumeID() == shown:
                    node = slicer.mrmlScene.GetNodeByID(previous or "")
                    _composite(name).SetBackgroundVolumeID(node.GetID() if node else None)
            self._backgrounds = {}

    def settle(self, mode, previous):
        """Bring the views into a state that makes sense in other modules: no side by side, difference or flicker.

        mode: what the views show; previous: what they showed before that. Returns what they show now.
        """
        self.restoreLayout()
        if mode == "side":
            return self.settle(previous, "result")
        if mode in ("flicker", "difference"):
            ours = {self._ids.get(key) for key in ("input", "difference")} - {None}
            for name in slicer.app.layoutManager().sliceViewNames() if slicer.app.layoutManager() else ():
                if _composite(name).GetBackgroundVolumeID() in ours:
                    _composite(name).SetBackgroundVolumeID(self._ids["result"])
            return "result"
        return mode

    def _node(self, key):
        return slicer.mrmlScene.GetNodeByID(self._ids.get(key) or "")

    def _background(self, node):
        if node is not None:
            slicer.util.setSliceViewerLayers(background=node)

    def _sideBySide(self):
        """Show the input on the left and the result on the right, in the same orientation and linked."""
        manager, first, second = slicer.app.layoutManager(), self._node("input"), self._node("result")
        if manager is None or first is None or second is None or self._layout is not None:
            return
        red, yellow = _sliceNode("Red"), _sliceNode("Yellow")
        self._layout = {
            "number": manager.layout,
            "orientation": yellow.GetOrientation(),
            "sliceToRAS": slicer.util.arrayFromVTKMatrix(yellow.GetSliceToRAS()).copy(),
            "linked": {name: _composite(name).GetLinkedControl() for name in ("Red", "Yellow")},
        }
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView)
        yellow.SetOrientation(red.GetOrientation())
        for name, node in (("Red", first), ("Yellow", second)):
            self._backgrounds[name] = (node.GetID(), _composite(name).GetBackgroundVolumeID())
            _composite(name).SetBackgroundVolumeID(node.GetID())
            _composite(name).SetLinkedControl(True)
        _setSlice(yellow, slicer.util.arrayFromVTKMatrix(red.GetSliceToRAS()))
        yellow.SetFieldOfView(*red.GetFieldOfView())
        yellow.SetXYZOrigin(*red.GetXYZOrigin())

    def _difference(self):
        """The node of result minus input, made when first needed, or None if their grids do not fit."""
        node = self._node("difference")
        if node is None:
            node = differenceOf(self._node("input"), self._node("result"))
            self._ids["difference"] = node.GetID() if node else None
        return node

    def _removeDifference(self):
        node = self._node("difference")
        if node:
            slicer.mrmlScene.RemoveNode(node)


def differenceOf(source, result):
    """A hidden volume of result minus input in HU, gray for no change. A thin slice is compared with the thick slice
    that it lies in. None if the grids do not fit.
    """
    if source is None or result is None:
        return None
    before, after = slicer.util.arrayFromVolume(source), slicer.util.arrayFromVolume(result)
    for axis, (few, many) in enumerate(zip(before.shape, after.shape, strict=True)):
        if many % few:
            return None
        before = before.repeat(many // few, axis) if many > few else before
    # differences of HU fit into 16 bits
    exact = np.int16 if before.dtype == after.dtype == np.int16 else np.float32
    change = np.subtract(after, before, dtype=exact)
    spread = float(np.percentile(np.abs(change.reshape(-1)[:: max(1, change.size // 200_000)]), 99))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", _("Difference"))
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.CreateDefaultDisplayNodes()  # before the voxels are set, or their histogram is computed
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(2.5 * max(spread, 1.0), 0.0)
    slicer.util.updateVolumeFromArray(node, change)
    node.CopyOrientation(result)
    return node


def _sliceNode(name):
    return slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()


def _setSlice(sliceNode, sliceToRAS):
    """Set a slice node's whole matrix: an offset alone would keep its in-plane position."""
    slicer.util.updateVTKMatrixFromArray(sliceNode.GetSliceToRAS(), sliceToRAS)
    sliceNode.UpdateMatrices()


def _composite(name):
    return slicer.app.layoutManager().sliceWidget(name).sliceLogic().GetSliceCompositeNode()
