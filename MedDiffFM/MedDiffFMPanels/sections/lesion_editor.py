"""Drawing in place: the embedded segment editor with Paint and Erase, and an ellipsoid of a given size at a click."""

import slicer
from slicer.i18n import tr as _

from ..scene import exchange
from ..scene.lesion_segmentation import addEllipsoid, segmentOf
from ..toolkit.timer_loop import Delay

EFFECTS = ("Paint", "Erase")
# sphere brush of 8 mm, whatever the zoom
BRUSH = {"BrushSphere": "1", "BrushDiameterIsRelative": "0", "BrushAbsoluteDiameter": "8"}
DELAY_MS = 250  # after the last stroke, until what depends on it is looked at


class LesionEditor:
    """Over the widgets of MedDiffFMLesion.ui. onDrawn: called a moment after something was drawn."""

    def __init__(self, ui, onDrawn, onPlaceFailed):
        self.ui, self._onPlaceFailed = ui, onPlaceFailed
        self._node, self._canvas, self._observed, self._point = None, None, None, None
        self._ownerId = self._lesionId = ""
        ui.editor.setEffectNameOrder(EFFECTS)
        ui.editor.unorderedEffectsVisible = False
        for table in slicer.util.findChildren(ui.editor, "SegmentsTableResizableFrame"):
            table.visible = False  # a lesion is the one segment of its segmentation
        ui.placeWidget.placeMultipleMarkups = slicer.qSlicerMarkupsPlaceWidget.ForcePlaceSingleMarkup
        ui.placeButton.connect("toggled(bool)", self._onPlaceButton)
        ui.placeWidget.connect("activeMarkupsPlaceModeChanged(bool)", self._onPlaceMode)
        self._drawnDelay = Delay(DELAY_MS, onDrawn)
        self._placeDelay = Delay(0, self._takePoint)  # the point is taken away once its own event is over

    def show(self, lesionNode, owner):
        """Draw `lesionNode` over `owner`, a CT or organs, from now on; nothing if they are None."""
        editor = self.ui.editor
        if lesionNode is None or owner is None:
            self.stop()
            if self._node is not None:
                editor.setSourceVolumeNode(None)
                editor.setSegmentationNode(None)
            self._lesionId = ""
            self._observe(None)
            return
        self.prepare()
        if self._node.GetSegmentationNode() is not lesionNode or editor.segmentationNode() is not lesionNode:
            editor.setSegmentationNode(lesionNode)
            if lesionNode.GetSegmentation().GetNumberOfSegments():
                editor.setCurrentSegmentID(segmentOf(lesionNode))
        source = owner if owner.IsA("vtkMRMLScalarVolumeNode") else self._canvasFor(owner)
        if editor.sourceVolumeNode() is not source:
            editor.setSourceVolumeNode(source)
        self._ownerId, self._lesionId = owner.GetID(), lesionNode.GetID()
        self._observe(lesionNode)

    def prepare(self):
        """Give the embedded editor its node: it follows the scene's segmentations, panel or not, and needs one."""
        if self._node is None or not slicer.mrmlScene.IsNodePresent(self._node):
            self._node = _editorNode()
            self.ui.editor.setMRMLSegmentEditorNode(self._node)

    def stop(self):
        """Put the brush and the place mode down."""
        if self._node is not None and slicer.mrmlScene.IsNodePresent(self._node):
            self.ui.editor.setActiveEffectByName("")
        self.ui.placeButton.checked = False

    def leave(self, sceneCloses=False):
        self.stop()
        self._drawnDelay.stop()
        self._placeDelay.stop()
        self._observe(None)
        self.ui.editor.removeViewObservations()
        if sceneCloses:
            self.ui.editor.setMRMLSegmentEditorNode(None)
            self._node = self._canvas = self._point = None
        else:
            self._removePoint()
            self._removeCanvas()

    # what is drawn

    def _observe(self, lesionNode):
        segmentation = lesionNode.GetSegmentation() if lesionNode else None
        old, tags = self._observed or (None, ())
        if segmentation is old:
            return
        for tag in tags:
            old.RemoveObserver(tag)
        self._observed = None
        if segmentation is not None:
            events = (segmentation.SourceRepresentationModified, segmentation.SegmentAdded, segmentation.SegmentRemoved)
            tags = [segmentation.AddObserver(event, lambda caller, event: self._drawnDelay.start()) for event in events]
            self._observed = (segmentation, tags)
            self.ui.editor.setupViewObservations()

    def _canvasFor(self, organs):
        """A hidden volume on the organs' voxels: the editor draws on a volume, and there is no CT yet."""
        if self._canvas is not None and slicer.mrmlScene.IsNodePresent(self._canvas):
            if self._canvas.GetAttribute("organs") == organs.GetID():
                return self._canvas
            self._removeCanvas()
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
        node.UnRegister(None)
        node.SetName(_("Canvas"))
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        slicer.mrmlScene.AddNode(node)
        grid = exchange.gridOf(organs)
        node.SetAndObserveImageData(grid.GetImageData())
        slicer.util.arrayFromVolume(node)[:] = 0
        node.CopyOrientation(grid)
        node.SetAttribute("organs", organs.GetID())
        self._canvas = node
        return node

    def _removeCanvas(self):
        if self._canvas is not None and slicer.mrmlScene.IsNodePresent(self._canvas):
            if self._node is not None:
                self.ui.editor.setSourceVolumeNode(None)
            slicer.mrmlScene.RemoveNode(self._canvas)
        self._canvas = None

    # an ellipsoid

    def _onPlaceButton(self, on):
        """Wait for a click in a slice view, or stop waiting."""
        if not on:
            self.ui.placeWidget.setPlaceModeEnabled(False)
            return
        if not self._lesionId:
            self.ui.placeButton.checked = False
            return
        self.ui.editor.setActiveEffectByName("")
        self._removePoint()
        point = slicer.mrmlScene.CreateNodeByClass("vtkMRMLMarkupsFiducialNode")
        point.UnRegister(None)
        point.SetName(_("Lesion's middle"))
        point.SetHideFromEditors(True)
        point.SetSaveWithScene(False)
        slicer.mrmlScene.AddNode(point)
        point.CreateDefaultDisplayNodes()
        point.GetDisplayNode().SetSaveWithScene(False)
        point.AddObserver(point.PointPositionDefinedEvent, lambda caller, event: self._placeDelay.start())
        self._point = point
        self.ui.placeWidget.setCurrentNode(point)
        self.ui.placeWidget.setPlaceModeEnabled(True)

    def _onPlaceMode(self, on):
        if not on:
            self.ui.placeButton.checked = False

    def _takePoint(self):
        """The click: an ellipsoid about it."""
        point, owner, lesion = self._point, *map(slicer.mrmlScene.GetNodeByID, (self._ownerId, self._lesionId))
        if point is None or not point.GetNumberOfDefinedControlPoints():
            return
        center = point.GetNthControlPointPositionWorld(0)
        self._removePoint()
        if lesion is not None and owner is not None:
            self.ui.editor.saveStateForUndo()
            if not addEllipsoid(lesion, exchange.gridOf(owner), center, self.ui.diameterBox.value):
                self._onPlaceFailed()
            self._drawnDelay.start()

    def _removePoint(self):
        point, self._point = self._point, None
        if point is not None and slicer.mrmlScene.IsNodePresent(point):
            self.ui.placeWidget.setPlaceModeEnabled(False)
            self.ui.placeWidget.setCurrentNode(None)
            display = point.GetDisplayNode()
            slicer.mrmlScene.RemoveNode(point)
            if display:
                slicer.mrmlScene.RemoveNode(display)


def _editorNode():
    """The panels' own editor node, with the sphere brush; not saved."""
    node = slicer.mrmlScene.GetSingletonNode("MedDiffFMLesion", "vtkMRMLSegmentEditorNode")
    if node is None:
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
        node.UnRegister(None)
        node.SetSingletonTag("MedDiffFMLesion")
        node.SetSaveWithScene(False)
        node = slicer.mrmlScene.AddNode(node)
    for name, value in BRUSH.items():
        if not node.GetAttribute(name):
            node.SetAttribute(name, value)
    return node
