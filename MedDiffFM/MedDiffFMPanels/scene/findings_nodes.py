"""The nodes of an anomaly map: a segmentation and a table of its findings, and its colors over the CT."""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from MedDiffFMLib.tasks.threshold import BRIGHTER, DARKER

from . import exchange
from .findings import ROWS_AT_ONCE, Rule, findParts, markFindings, organBox

COLORS = {BRIGHTER: (1.0, 0.45, 0.1), DARKER: (0.2, 0.6, 1.0)}
SEGMENTATION, TABLE, COLOR_TABLE = (exchange.ATTRIBUTE + word for word in ("findings", "table", "colors"))
COLORS_OF_MAP = 256
TEXT_COLUMNS = ("organ", "deviation")  # the table's columns of text


def kindText(kind):
    """The word for BRIGHTER or DARKER."""
    return _("brighter") if kind == BRIGHTER else _("darker")


def automaticRule(mapNode):
    """The rule with the threshold that the task computed for this map."""
    facts = exchange.provenanceOf(mapNode).get("facts", {})
    return Rule(facts.get("threshold_counts_from_hu", 0.0), facts.get("threshold_hu", 50.0))


class FindingsNodes:
    """The segmentation and the table of one map. They are found in a loaded scene and made again if deleted."""

    def __init__(self, mapNode):
        self._mapId, self._box = mapNode.GetID(), None

    @property
    def map(self):
        """The map's node, or None once it is gone."""
        return slicer.mrmlScene.GetNodeByID(self._mapId)

    @property
    def segmentation(self):
        """The segmentation of the findings, or None."""
        return self.map.GetNodeReference(SEGMENTATION) if self.map else None

    @property
    def table(self):
        """The table of the findings, or None."""
        return self.map.GetNodeReference(TABLE) if self.map else None

    def applyRule(self, rule):
        """Update segmentation and table by a rule. A generator: first the voxels, then the numbers; its return value is
        (findings, number of smaller parts).
        """
        whole = slicer.util.arrayFromVolume(self.map)
        if self._box is None:
            self._box = yield from organBox(whole)
        deviation, image = whole[self._box], self._image()
        marks = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(deviation.shape)
        yield from markFindings(deviation, rule, marks)
        image.GetPointData().GetScalars().Modified()
        image.Modified()
        yield
        matrix = exchange.ijkToRAS(self.map)
        matrix[:3, 3] = (matrix @ [*(axis.start for axis in self._box[::-1]), 1])[:3]
        findings, smaller = yield from findParts(deviation, rule, matrix)
        yield from self._fillTable(findings)
        return findings, smaller

    def _image(self):
        """The labelmap that both segments share."""
        node = self.segmentation
        first = node.GetSegmentation().GetNthSegment(0) if node else None
        image = first.GetRepresentation("Binary labelmap") if first else None
        size = tuple(axis.stop - axis.start for axis in self._box[::-1])
        if image is not None and image.GetDimensions() == size and node.GetSegmentation().GetNumberOfSegments() == 2:
            return image
        image = _emptyImage(self.map, self._box)
        node = node or self._newNode("vtkMRMLSegmentationNode", SEGMENTATION, _("{name} findings"))
        _fillSegmentation(node, image, self.map)
        return image

    def _newNode(self, className, role, name):
        """Add a node beside the map's source and make it the map's node reference `role`."""
        unique = slicer.mrmlScene.GenerateUniqueName(name.format(name=self.map.GetName()))
        node = slicer.mrmlScene.AddNewNodeByClass(className, unique)
        source = exchange.sourceOf(self.map) or self.map
        exchange.placeBeside(source, node)
        exchange.markResult(node, source, exchange.provenanceOf(self.map))
        node.SetNodeReferenceID(exchange.ATTRIBUTE + "map", self._mapId)
        self.map.SetNodeReferenceID(role, node.GetID())
        return node

    def _fillTable(self, findings):
        """Write all findings to the table. A generator: at a low threshold there may be a hundred thousand."""
        organ = exchange.provenanceOf(self.map).get("facts", {}).get("organ", "")
        arrays = []
        for name, valueOf in _columns(organ).items():
            array = vtk.vtkStringArray() if name in TEXT_COLUMNS else vtk.vtkDoubleArray()
            array.SetName(name)
            for number, finding in enumerate(findings, 1):
                array.InsertNextValue(valueOf(number, finding))
                if number % ROWS_AT_ONCE == 0:
                    yield
            arrays.append(array)
            yield
        node = self.table or self._newNode("vtkMRMLTableNode", TABLE, _("{name} table"))
        before = node.StartModify()
        node.RemoveAllColumns()
        for array in arrays:
            node.AddColumn(array)
        node.EndModify(before)


def _columns(organ):
    """{column: function of (number, finding) → value}: those of the command line (FINDING_COLUMNS), score and size."""
    return {
        "finding": lambda number, one: float(number),
        "organ": lambda number, one: organ,
        "deviation": lambda number, one: "brighter" if one.kind == BRIGHTER else "darker",
        "volume_ml": lambda number, one: round(one.volumeMl, 3),
        "peak_hu": lambda number, one: round(one.peakHU, 1),
        "mean_hu": lambda number, one: round(one.meanHU, 1),
        **{f"center_{axis}_mm": lambda number, one, n=n: round(one.center[n], 1) for n, axis in enumerate("ras")},
        "score_hu_ml": lambda number, one: round(one.score, 1),
        **{f"size_{axis}_mm": lambda number, one, n=n: round(one.sizeMm[n], 1) for n, axis in enumerate("ijk")},
    }


def _emptyImage(mapNode, box):
    """An image of zeros on the map's grid, within the box."""
    image = slicer.vtkOrientedImageData()
    image.SetExtent([end for axis in box[::-1] for end in (axis.start, axis.stop - 1)])
    matrix = vtk.vtkMatrix4x4()
    mapNode.GetIJKToRASMatrix(matrix)
    image.SetGeometryFromImageToWorldMatrix(matrix)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    image.GetPointData().GetScalars().Fill(0)
    return image


def _fillSegmentation(node, image, mapNode):
    """Add two segments that share one image, displayed as outlines so that the map's colors stay visible."""
    segmentation = node.GetSegmentation()
    segmentation.RemoveAllSegments()
    segmentation.SetSourceRepresentationName("Binary labelmap")
    node.SetReferenceImageGeometryParameterFromVolumeNode(mapNode)
    names = {BRIGHTER: _("Brighter than expected"), DARKER: _("Darker than expected")}
    for kind, name in names.items():
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.SetColor(COLORS[kind])
        segment.SetLabelValue(kind)
        segment.SetTag("TerminologyEntry", exchange.TERMINOLOGY)
        segment.AddRepresentation("Binary labelmap", image)
        segmentation.AddSegment(segment, "brighter" if kind == BRIGHTER else "darker")
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetOpacity2DFill(0.0)


# the map in color


def colorMap(mapNode):
    """Color a map: blue for darker, orange for brighter, transparent for small deviations and outside the organ."""
    rule = automaticRule(mapNode)
    width = 4 * rule.limit
    away = (np.arange(COLORS_OF_MAP) + 0.5) / COLORS_OF_MAP * width - width / 2
    strength = np.clip(np.abs(away) / rule.limit - 0.5, 0, 1)  # from half the threshold to one and a half
    outside = np.abs(away + rule.center) < width / COLORS_OF_MAP
    node = mapNode.GetNodeReference(COLOR_TABLE)
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", f"{mapNode.GetName()} colors")
        node.SetTypeToUser()
        node.SetHideFromEditors(False)  # Slicer 5.10 leaves hidden tables out of a scene that it saves as .mrml
        mapNode.SetNodeReferenceID(COLOR_TABLE, node.GetID())
    node.SetNumberOfColors(COLORS_OF_MAP)
    for number, (hu, opacity) in enumerate(zip(away, strength, strict=True)):
        color = COLORS[BRIGHTER if hu > 0 else DARKER]
        node.SetColor(number, f"{hu + rule.center:.0f} HU", *color, 0.0 if outside[number] else float(opacity))
    display = mapNode.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(width, rule.center)
    display.SetAndObserveColorNodeID(node.GetID())
    display.SetInterpolate(True)


def hasColors(mapNode):
    """Whether a map uses its own color table, which a loaded scene may lack."""
    display = mapNode.GetDisplayNode()
    return bool(display and display.GetColorNode() and display.GetColorNode() is mapNode.GetNodeReference(COLOR_TABLE))


def showOver(mapNode, source, opacity):
    """Show a map over its CT in the slice views."""
    slicer.util.setSliceViewerLayers(background=source, foreground=mapNode, foregroundOpacity=opacity)


def setOpacity(mapNode, opacity):
    """Set the opacity (0 to 1) of a map in all slice views that show it over a volume."""
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    for composite in composites:
        if composite.GetForegroundVolumeID() == mapNode.GetID():
            composite.SetForegroundOpacity(opacity)


class Crosshair:
    """Marks a position in the slice views; `restore` brings back the crosshair mode of before."""

    def __init__(self):
        self._before = None

    def jumpTo(self, ras):
        """Center all slice views at a position (RAS in mm), and mark it."""
        slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *ras, slicer.vtkMRMLSliceNode.CenteredJumpSlice)
        node = _crosshairNode()
        if node:
            node.SetCrosshairRAS(ras)
            if node.GetCrosshairMode() == node.NoCrosshair:
                self._before = node.NoCrosshair
                node.SetCrosshairMode(node.ShowSmallBasic)

    def restore(self):
        """Restore the crosshair mode, unless the user has chosen another one since."""
        before, self._before, node = self._before, None, _crosshairNode()
        if node and before is not None and node.GetCrosshairMode() == node.ShowSmallBasic:
            node.SetCrosshairMode(before)


def _crosshairNode():
    return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
