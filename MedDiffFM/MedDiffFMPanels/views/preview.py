"""The preview of a result during a run: a coarse volume in the slice views, hidden from selectors and not saved.

It replaces the input in the views that show it; if the input is no CT, all views show the preview.
"""

import slicer
from slicer.i18n import tr as _

from ..scene.nrrd import readNrrd

SOFT_TISSUE = (400.0, 50.0)  # width and level in HU


class Preview:
    """Shows previews in the slice views, and restores the views afterwards."""

    def __init__(self):
        self._node, self._before, self._sourceId, self._overCT = None, {}, None, True

    def begin(self, sourceNode):
        """Prepare for the previews of a run on this input."""
        self.end()
        self._sourceId = sourceNode.GetID() if sourceNode else None
        self._overCT = sourceNode is None or sourceNode.GetClassName() == "vtkMRMLScalarVolumeNode"

    def show(self, path):
        """Show the preview in this file. A file that is being replaced at the moment is skipped."""
        source = slicer.mrmlScene.GetNodeByID(self._sourceId or "")
        if source is None:
            return
        try:
            voxels, matrix = _returnValue(readNrrd(path))
        except (OSError, ValueError, KeyError):
            return
        first = self._node is None
        if first:
            self._node = _newNode(source)
            self._before = {composite.GetID(): composite.GetBackgroundVolumeID() for composite in _composites()}
        slicer.util.updateVolumeFromArray(self._node, voxels)
        self._node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
        if first and not self._overCT:  # once, so that the user may change the views later
            slicer.util.setSliceViewerLayers(background=self._node, fit=True)
        for composite in _composites():
            if composite.GetBackgroundVolumeID() == self._sourceId:
                composite.SetBackgroundVolumeID(self._node.GetID())

    def end(self, restore=True):
        """Remove the preview. restore: show again what the views showed before."""
        node, self._node = self._node, None
        if node is None:
            return
        for composite in _composites():
            if composite.GetBackgroundVolumeID() == node.GetID():
                before = self._before.get(composite.GetID())
                composite.SetBackgroundVolumeID(before or (self._sourceId if self._overCT else None))
        if slicer.mrmlScene.IsNodePresent(node):
            display = node.GetDisplayNode()
            slicer.mrmlScene.RemoveNode(node)
            if display:
                slicer.mrmlScene.RemoveNode(display)


def _newNode(source):
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
    node.UnRegister(None)
    node.SetName(_("Preview"))
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    slicer.mrmlScene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    display, sourceDisplay = node.GetDisplayNode(), source.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetAutoWindowLevel(False)
    isCT = sourceDisplay and sourceDisplay.IsA("vtkMRMLScalarVolumeDisplayNode")
    display.SetWindowLevel(*((sourceDisplay.GetWindow(), sourceDisplay.GetLevel()) if isCT else SOFT_TISSUE))
    return node


def _composites():
    nodes = slicer.mrmlScene.GetNodesByClass("vtkMRMLSliceCompositeNode")
    nodes.UnRegister(None)
    return [nodes.GetItemAsObject(number) for number in range(nodes.GetNumberOfItems())]


def _returnValue(steps):
    """The return value of a generator, which is run to its end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
