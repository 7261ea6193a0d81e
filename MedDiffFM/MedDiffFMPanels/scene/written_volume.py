"""The CT as a file for the worker, kept between an estimate and the runs after it."""

import tempfile
from pathlib import Path

import slicer

from . import exchange
from .input_changes import changeEvents, volumeKey
from .nrrd import writeNrrd


class WrittenVolume:
    """The file of the volume that was last written for the worker. It is removed when the volume's voxels or geometry
    change, when the volume is removed, and when the scene is closed.
    """

    def __init__(self, worker):
        """worker: a `SharedWorker`; its `folder` holds the file, and its `discard` removes it once no job reads it."""
        self._worker = worker
        self._folder = self._key = self._nodeId = None
        self._complete, self._observed = False, []

    def file(self, node, name, compress):
        """Write the node's voxels as NAME.nrrd, unless the file is there already. OSError if the disk is full.

        A generator; its return value is the path.
        """
        key = (volumeKey(node), name, compress)
        if self._complete and key == self._key and self._path(name).is_file():
            return self._path(name)
        while True:
            self.drop()
            folder = self._begin(node, key)
            path = self._path(name)
            try:
                yield from writeNrrd(path, slicer.util.arrayFromVolume(node), exchange.ijkToRAS(node), compress)
            except BaseException:  # after a cancel too, no incomplete file stays
                self.drop()
                raise
            self._complete = self._folder == folder
            if self._complete or not slicer.mrmlScene.IsNodePresent(node):
                return path
            key = (volumeKey(node), name, compress)  # the node was changed meanwhile: write it again

    def drop(self):
        """Remove the file, once no job reads it any more."""
        for sender, tag in self._observed:
            sender.RemoveObserver(tag)
        folder, self._folder = self._folder, None
        self._key, self._nodeId, self._complete, self._observed = None, None, False, []
        if folder is not None:
            self._worker.discard(folder)

    def _path(self, name):
        return self._folder / f"{name}.nrrd"

    def _begin(self, node, key):
        """Make a folder for the file, observe the node and the scene, and return the folder."""
        self._folder = Path(tempfile.mkdtemp(prefix="volume-", dir=self._worker.folder))
        self._key, self._nodeId, scene = key, node.GetID(), slicer.mrmlScene
        self._observed = [(node, node.AddObserver(event, self._onChange)) for event in changeEvents(node)]
        for event, callback in ((scene.NodeRemovedEvent, self._onChange), (scene.StartCloseEvent, self._onClose)):
            self._observed.append((scene, scene.AddObserver(event, callback)))
        return self._folder

    def _onChange(self, caller, event):
        node = slicer.mrmlScene.GetNodeByID(self._nodeId)
        if node is None or node.GetImageData() is None or volumeKey(node) != self._key[0]:
            self.drop()

    def _onClose(self, caller, event):
        self.drop()


_written = None


def writtenVolume(worker):
    """The one `WrittenVolume` of this Slicer. worker: see there."""
    global _written
    _written = _written or WrittenVolume(worker)
    return _written
