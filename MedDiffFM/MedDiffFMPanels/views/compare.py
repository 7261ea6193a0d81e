"""Input and result in the slice views: one of them, side by side, in turn, or their difference."""

import numpy as np
import slicer
from slicer.i18n import tr as _


class CompareViews:
    def __init__(self):
        self._ids, self._layout, self._showsResult = {}, None, True
        self._put = {}  # by view: what “side by side” put there, and what was there before

    def setVolumes(self, source, result):
        """Compare these from now on."""
        self.restoreLayout()
        self._removeDifference()
        self._ids = {"input": source.GetID(), "result": result.GetID()}

    def clear(self):
        """Compare nothing any more."""
        self.restoreLayout()
        self._removeDifference()
        self._ids = {}

    def show(self, mode):
        if mode == "side":
            self._sideBySide()
            return
        self.restoreLayout()
        if mode == "difference":
            self._background(self._difference())
        else:
            self._showsResult = mode != "input"
            self._background(self._node("result" if self._showsResult else "input"))

    def swap(self):
        """The other one of the two."""
        self._showsResult = not self._showsResult
        self._background(self._node("result" if self._showsResult else "input"))

    def restoreLayout(self):
        """The views as they stood before they were put side by side, but for what the user has changed since."""
        layout, self._layout = self._layout, None
        manager = slicer.app.layoutManager()
        if layout is not None and manager is not None:
            manager.setLayout(layout["number"])
            _sliceNode("Yellow").SetOrientation(layout["orientation"])
            _lookAt(_sliceNode("Yellow"), layout["place"])
            for name, linked in layout["linked"].items():
                _composite(name).SetLinkedControl(linked)
            for name, (put, before) in self._put.items():
                if _composite(name).GetBackgroundVolumeID() == put:
                    known = slicer.mrmlScene.GetNodeByID(before or "")
                    _composite(name).SetBackgroundVolumeID(known.GetID() if known else None)
            self._put = {}

    def settle(self, mode, before):
        """Leave the views as one expects them elsewhere: nothing side by side, and no difference or half of a flicker,
        which nobody could name. mode: what they show; before: what they showed before that. Returns what they show now.
        """
        self.restoreLayout()
        if mode == "side":
            return self.settle(before, "result")
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
        """Input left, result right, both axial and linked."""
        manager, first, second = slicer.app.layoutManager(), self._node("input"), self._node("result")
        if manager is None or first is None or second is None or self._layout is not None:
            return
        red, yellow = _sliceNode("Red"), _sliceNode("Yellow")
        self._layout = {
            "number": manager.layout,
            "orientation": yellow.GetOrientation(),
            "place": slicer.util.arrayFromVTKMatrix(yellow.GetSliceToRAS()).copy(),
            "linked": {name: _composite(name).GetLinkedControl() for name in ("Red", "Yellow")},
        }
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView)
        yellow.SetOrientation(red.GetOrientation())
        for name, node in (("Red", first), ("Yellow", second)):
            self._put[name] = (node.GetID(), _composite(name).GetBackgroundVolumeID())
            _composite(name).SetBackgroundVolumeID(node.GetID())
            _composite(name).SetLinkedControl(True)
        _lookAt(yellow, slicer.util.arrayFromVTKMatrix(red.GetSliceToRAS()))
        yellow.SetFieldOfView(*red.GetFieldOfView())
        yellow.SetXYZOrigin(*red.GetXYZOrigin())

    def _difference(self):
        """Result minus input as a volume, made when it is first asked for."""
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
    """Result minus input in HU as a hidden volume, gray for no change; a result of thinner slices minus the slice that
    they lie in. None if their grids do not fit.
    """
    if source is None or result is None:
        return None
    before, after = slicer.util.arrayFromVolume(source), slicer.util.arrayFromVolume(result)
    for axis, (few, many) in enumerate(zip(before.shape, after.shape, strict=True)):
        if many % few:
            return None
        before = before.repeat(many // few, axis) if many > few else before
    # HU are within 16 bits, and so is what a model changes of them
    exact = np.int16 if before.dtype == after.dtype == np.int16 else np.float32
    change = np.subtract(after, before, dtype=exact)
    spread = float(np.percentile(np.abs(change.reshape(-1)[:: max(1, change.size // 200_000)]), 99))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", _("Difference"))
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.CreateDefaultDisplayNodes()  # before there are voxels, or their histogram is computed
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(2.5 * max(spread, 1.0), 0.0)
    slicer.util.updateVolumeFromArray(node, change)
    node.CopyOrientation(result)
    return node


def _sliceNode(name):
    return slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()


def _lookAt(sliceNode, sliceToRAS):
    """The plane, and the place within it: an offset alone would leave the other view's middle."""
    slicer.util.updateVTKMatrixFromArray(sliceNode.GetSliceToRAS(), sliceToRAS)
    sliceNode.UpdateMatrices()


def _composite(name):
    return slicer.app.layoutManager().sliceWidget(name).sliceLogic().GetSliceCompositeNode()
