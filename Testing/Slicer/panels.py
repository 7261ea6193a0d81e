"""What the tests of the panels share: a real CT in the scene, and a look at processes and folders left behind."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

DATA = Path(__file__).parents[1] / "Data"


def add_chest(name="Chest", z=slice(50, 82), y=slice(20, 84), x=slice(20, 84)):
    """A crop of the repository's chest CT, as a node with a window and level of its own."""
    import slicer

    whole = slicer.util.loadVolume(str(DATA / "chest_ts_aorta.nii.gz"), {"show": False})
    voxels = slicer.util.arrayFromVolume(whole)[z, y, x].copy()
    matrix = to_ras(whole)
    matrix[:3, 3] = (matrix @ [x.start, y.start, z.start, 1])[:3]
    slicer.mrmlScene.RemoveNode(whole)
    node = slicer.util.addVolumeFromArray(voxels, ijkToRAS=matrix, name=name)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(700, 100)
    return node


def to_ras(node) -> np.ndarray:
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def names_in_scene() -> list[str]:
    """Names of the volumes, the hidden ones too."""
    import slicer

    return sorted(node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLVolumeNode"))


def group_is_gone(pid: int) -> bool:
    """Whether no process is left of the group that `pid` leads."""
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return True
    return False


def folders_left() -> list[str]:
    import slicer

    return [path.name for path in Path(slicer.app.temporaryPath).glob("MedDiffFM-*")]
