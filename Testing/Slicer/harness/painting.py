"""What a user draws with the Segment Editor's Paint and Erase, written by the real segmentations logic."""

from __future__ import annotations

import numpy as np


def paint_ball(segmentation, segment_id: str, volume, center, radius: float, erase: bool = False) -> None:
    """Add (or erase) a ball to a segment.

    center: world RAS in mm; radius in mm; volume: whose grid the segment takes (it must have no transform)."""
    import slicer
    import vtk
    from vtkmodules.util.numpy_support import numpy_to_vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    to_ras = slicer.util.arrayFromVTKMatrix(matrix)
    shape = slicer.util.arrayFromVolume(volume).shape
    k, j, i = np.indices(shape)
    ras = (
        np.einsum("ab,b...->a...", to_ras[:3, :3], np.stack([i, j, k]).astype(float)) + to_ras[:3, 3, None, None, None]
    )
    ball = (((ras - np.asarray(center, float)[:, None, None, None]) ** 2).sum(0) <= radius**2).astype(np.uint8)
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(ball.ravel(), deep=True))
    image.SetGeometryFromImageToWorldMatrix(matrix)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if erase:
        kept = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume) * (1 - ball)
        slicer.util.updateSegmentBinaryLabelmapFromArray(kept.astype(np.uint8), segmentation, segment_id, volume)
    elif not logic.SetBinaryLabelmapToSegment(image, segmentation, segment_id, logic.MODE_MERGE_MAX):
        raise RuntimeError(f"the ball could not be added to segment {segment_id}")
