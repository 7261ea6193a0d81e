"""Changes of a panel's input nodes that are made elsewhere in Slicer: voxels, segments, transforms, boxes, labels."""

import slicer

from ..toolkit.timer_loop import Delay
from .exchange import boxOf, colorsOf, ijkToRAS

DELAY_MS = 250  # from the last stroke or slider step until the panel is updated


class InputChanges:
    """Calls a function `DELAY_MS` after the last change of one of the observed nodes."""

    def __init__(self, onChange):
        self._timer, self._observed = Delay(DELAY_MS, onChange), {}

    def observe(self, nodes):
        """Observe these nodes (volumes, segmentations, boxes; None is skipped), and no others."""
        current = {node.GetID(): node for node in nodes if node is not None}
        for key in [key for key, (node, _tags) in self._observed.items() if current.get(key) is not node]:
            node, tags = self._observed.pop(key)
            for tag in tags:
                node.RemoveObserver(tag)
        for key in current.keys() - self._observed.keys():
            tags = [current[key].AddObserver(event, self._onChange) for event in changeEvents(current[key])]
            self._observed[key] = (current[key], tags)

    def stop(self):
        """Observe nothing, and forget a change that was not reported yet."""
        self._timer.stop()
        self.observe([])

    def _onChange(self, caller, event):
        self._timer.start()


def changeEvents(node):
    """The events of a volume, a segmentation or a box that may change what a task reads from it."""
    events = ["ModifiedEvent", node.TransformModifiedEvent]
    if node.IsA("vtkMRMLVolumeNode"):
        events.append(node.ImageDataModifiedEvent)
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        events.append(node.DisplayModifiedEvent)  # its color table holds the labels' names
    if node.IsA("vtkMRMLSegmentationNode"):
        segmentation = slicer.vtkSegmentation
        events += [segmentation.SourceRepresentationModified, segmentation.SegmentModified]
        events += [segmentation.SegmentAdded, segmentation.SegmentRemoved]
    return events


def inputKey(node):
    """A key of a volume, a segmentation or a box that changes with what a task reads from it, not with its display."""
    if node.IsA("vtkMRMLVolumeNode"):
        return volumeKey(node)
    return segmentationKey(node) if node.IsA("vtkMRMLSegmentationNode") else boxOf(node)


def volumeKey(volumeNode):
    """A key of a volume that changes with its voxels, its geometry and, of a label map, the names of its labels."""
    image, colors = volumeNode.GetImageData(), None
    if volumeNode.IsA("vtkMRMLLabelMapVolumeNode") and (table := colorsOf(volumeNode)):
        colors = (table.GetID(), table.GetMTime())
    return f"{volumeNode.GetID()} {image.GetMTime() if image else 0} {ijkToRAS(volumeNode).tolist()} {colors}"


def segmentationKey(segmentationNode):
    """A key of a segmentation that changes when segments are drawn, renamed or moved."""
    segmentation = segmentationNode.GetSegmentation()
    segments = [segmentation.GetSegment(key) for key in segmentation.GetSegmentIDs()]
    labelmaps = [segment.GetRepresentation(segmentation.GetSourceRepresentationName()) for segment in segments]
    times = [voxels.GetMTime() if voxels else 0 for voxels in labelmaps]  # the segmentation's own MTime misses strokes
    names = [(segment.GetName(), segment.GetLabelValue()) for segment in segments]
    return (segmentationNode.GetID(), *names, *times, transformKey(segmentationNode))


def transformKey(node):
    """A key that changes with the transforms of a node; None if it has none."""
    transform = node.GetParentTransformNode()
    return (transform.GetID(), transform.GetTransformToWorldMTime()) if transform else None
