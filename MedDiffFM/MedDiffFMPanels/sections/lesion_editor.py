"""Drawing a lesion in the panel: the embedded segment editor with Paint and Erase, and ellipsoids placed by a click."""

import slicer
from slicer.i18n import tr as _

from ..scene import exchange
from ..scene.lesion_segmentation import addEllipsoid, segmentOf
from ..toolkit.timer_loop import Delay

EFFECTS = ("Paint", "Erase")
# a sphere brush of 8 mm at every zoom
BRUSH = {"BrushSphere": "1", "BrushDiameterIsRelative": "0", "BrushAbsoluteDiameter": "8"}
DELAY_MS = 250  # from the last stroke until `onDrawn`


class LesionEditor:
    """Controls the widgets of MedDiffFMLesion.ui. onDrawn: called a moment after a stroke. onPlaceFailed: called if an
    ellipsoid would lie outside the image.
    """

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
        self._placeDelay = Delay(0, self._placeEllipsoid)  # deferred: the point cannot be removed within its own event

    def show(self, lesionNode, owner):
        """Let the user draw in `lesionNode` over `owner`, a CT or organs; or nowhere if one of them is None."""
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
        """Give the embedded editor its node, which it needs even while the panel is closed: it observes the scene."""
        if self._node is None or not slicer.mrmlScene.IsNodePresent(self._node):
            self._node = _editorNode()
            self.ui.editor.setMRMLSegmentEditorNode(self._node)

    def stop(self):
        """Deselect the brush and end the place mode."""
        if self._node is not None and slicer.mrmlScene.IsNodePresent(self._node):
            self.ui.editor.setActiveEffectByName("")
        self.ui.placeButton.checked = False

    def leave(self, sceneCloses=False):
        """Stop drawing and remove the helper nodes; called when the panel is left or the scene is closed."""
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

    # strokes

    def _observe(self, lesionNode):
        """Call `onDrawn` after changes of this lesion, or of none."""
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
        """A hidden volume on the organs' grid: the segment editor needs a source volume, and there is no CT yet."""
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

    # ellipsoids

    def _onPlaceButton(self, on):
        """Begin or end the place mode, in which a click in a slice view places an ellipsoid."""
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
        point.SetName(_("Lesion center"))
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

    def _placeEllipsoid(self):
        """Add an ellipsoid around the clicked point, and remove the point."""
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
    """The segment editor node that the panels share, with the sphere brush. It is not saved."""
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
