"""The result while it is made: a small volume in the slice views, which nobody can choose or save. It takes the place
of the input; where that is no CT, every view shows it.
"""

import slicer
from slicer.i18n import tr as _

from ..scene.nrrd import readNrrd

SOFT_TISSUE = (400.0, 50.0)  # width and level in HU


class Preview:
    """Shows estimates over the input, and afterwards the views as they were."""

    def __init__(self):
        self._node, self._before, self._sourceId, self._overCT = None, {}, None, True

    def begin(self, sourceNode):
        self.end()
        self._sourceId = sourceNode.GetID() if sourceNode else None
        self._overCT = sourceNode is None or sourceNode.GetClassName() == "vtkMRMLScalarVolumeNode"

    def show(self, path):
        """Take in a newer estimate; a file that is just being replaced is left for the next time."""
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
        if first and not self._overCT:  # once: what the user looks at meanwhile is not taken away again
            slicer.util.setSliceViewerLayers(background=self._node, fit=True)
        for composite in _composites():
            if composite.GetBackgroundVolumeID() == self._sourceId:
                composite.SetBackgroundVolumeID(self._node.GetID())

    def end(self, restore=True):
        """Take the estimate away. restore: give the views what they showed before."""
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
    display, its = node.GetDisplayNode(), source.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetAutoWindowLevel(False)
    ofCT = its and its.IsA("vtkMRMLScalarVolumeDisplayNode")
    display.SetWindowLevel(*((its.GetWindow(), its.GetLevel()) if ofCT else SOFT_TISSUE))
    return node


def _composites():
    nodes = slicer.mrmlScene.GetNodesByClass("vtkMRMLSliceCompositeNode")
    nodes.UnRegister(None)
    return [nodes.GetItemAsObject(number) for number in range(nodes.GetNumberOfItems())]


def _returnValue(steps):
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
