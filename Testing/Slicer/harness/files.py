"""slicer.app.coreIOManager() over the real storage nodes: the file types that the panels read and write."""

from __future__ import annotations

import os

READERS = {
    "VolumeFile": ("vtkMRMLScalarVolumeNode", "vtkMRMLVolumeArchetypeStorageNode"),
    "SegmentationFile": ("vtkMRMLSegmentationNode", "vtkMRMLSegmentationStorageNode"),
    "MarkupsFile": ("vtkMRMLMarkupsFiducialNode", "vtkMRMLMarkupsFiducialStorageNode"),
    "ModelFile": ("vtkMRMLModelNode", "vtkMRMLModelStorageNode"),
    "TableFile": ("vtkMRMLTableNode", "vtkMRMLTableStorageNode"),
}
SUFFIXES = {
    "SceneFile": (".mrml", ".mrb"),
    "SegmentationFile": (".seg.nrrd", ".seg.nhdr"),
    "MarkupsFile": (".mrk.json", ".fcsv"),
    "ModelFile": (".vtk", ".vtp", ".stl", ".ply", ".obj"),
    "TableFile": (".csv", ".tsv"),
}


class CoreIOManager:
    """qSlicerCoreIOManager (Base/QTCore/qSlicerCoreIOManager.h)."""

    def fileType(self, file_name):
        name = str(file_name).lower()
        return next((kind for kind, suffixes in SUFFIXES.items() if name.endswith(suffixes)), "VolumeFile")

    def loadNodes(self, file_type, properties, loaded=None, messages=None):
        """As slicer.util.loadVolume and the like call it; False when the file is missing or cannot be read."""
        import slicer

        path = os.path.abspath(properties["fileName"])
        if file_type == "SceneFile":
            return self.loadScene(path, properties)
        if not os.path.exists(path):
            return False
        node_class, storage_class = READERS[file_type]
        if file_type == "VolumeFile" and properties.get("labelmap"):
            node_class = "vtkMRMLLabelMapVolumeNode"
        name = properties.get("name") or os.path.basename(path).split(".")[0]
        node = slicer.mrmlScene.AddNewNodeByClass(node_class, slicer.mrmlScene.GenerateUniqueName(name))
        storage = slicer.mrmlScene.AddNewNodeByClass(storage_class)
        storage.SetFileName(path)
        if not storage.ReadData(node):
            slicer.mrmlScene.RemoveNode(node)
            slicer.mrmlScene.RemoveNode(storage)
            return False
        node.SetAndObserveStorageNodeID(storage.GetID())
        if hasattr(node, "GetDisplayNode") and not node.GetDisplayNode():
            node.CreateDefaultDisplayNodes()
        if loaded is not None:
            loaded.AddItem(node)
        if properties.get("show", True) and node.IsA("vtkMRMLVolumeNode"):
            slicer.app.applicationLogic().GetSelectionNode().SetActiveVolumeID(node.GetID())
            slicer.app.applicationLogic().PropagateVolumeSelection()
        return True

    def loadScene(self, path, properties=None):
        """The real vtkMRMLScene reads .mrml and .mrb; properties["clear"] False adds to the scene."""
        import slicer

        scene = slicer.mrmlScene
        clear = (properties or {}).get("clear", True)
        if path.endswith(".mrb"):
            return bool(scene.ReadFromMRB(path, clear))
        scene.SetURL(path)
        return bool(scene.Connect() if clear else scene.Import())

    def fileWriterFileType(self, node, filename=""):
        return "NodeFile"

    def saveNodes(self, file_type, properties, messages=None):
        import slicer

        path = os.path.abspath(properties["fileName"])
        if file_type == "SceneFile":
            return self.saveScene(path)
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        if node.GetStorageNode() is None:
            node.AddDefaultStorageNode(path)
        storage = node.GetStorageNode()
        storage.SetFileName(path)
        storage.SetUseCompression(int(properties.get("useCompression", 1)))
        return bool(storage.WriteData(node))

    def saveScene(self, path, screenshot=None):
        """To .mrb with all data, to .mrml without."""
        import slicer

        scene = slicer.mrmlScene
        if path.endswith(".mrb"):
            return bool(scene.WriteToMRB(path))
        scene.SetURL(path)
        scene.SetRootDirectory(os.path.dirname(path))
        return bool(scene.Commit(path))
