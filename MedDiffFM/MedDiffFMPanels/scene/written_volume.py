"""A CT as a file for the worker, kept between an estimate and the runs after it."""

import tempfile
from pathlib import Path

import slicer

from . import exchange
from .input_changes import changeEvents, volumeKey
from .nrrd import writeNrrd


class WrittenVolume:
    """The volume that was last written for the worker, kept as long as its voxels and its geometry stay as they are.

    It goes when the volume is changed or removed, and when the scene is closed.
    """

    def __init__(self, worker):
        """worker: has the `folder` that files are written to, and `discard`, which removes a folder in it as soon as no
        job reads it.
        """
        self._worker = worker
        self._folder = self._what = self._nodeId = None
        self._complete, self._observed = False, []

    def file(self, node, name, compress):
        """The path of the node's voxels as NAME.nrrd, which are written unless they lie there already. Generator.
        OSError if the disk is full.
        """
        what = (volumeKey(node), name, compress)
        if self._complete and what == self._what and self._path(name).is_file():
            return self._path(name)
        while True:
            self.drop()
            folder = self._begin(node, what)
            path = self._path(name)
            try:
                yield from writeNrrd(path, slicer.util.arrayFromVolume(node), exchange.ijkToRAS(node), compress)
            except BaseException:  # a cancelled job too: no half file stays
                self.drop()
                raise
            self._complete = self._folder == folder
            if self._complete or not slicer.mrmlScene.IsNodePresent(node):
                return path
            what = (volumeKey(node), name, compress)  # it was changed meanwhile

    def drop(self):
        """Remove the file, once no job reads it any more."""
        for sender, tag in self._observed:
            sender.RemoveObserver(tag)
        folder, self._folder = self._folder, None
        self._what, self._nodeId, self._complete, self._observed = None, None, False, []
        if folder is not None:
            self._worker.discard(folder)

    def _path(self, name):
        return self._folder / f"{name}.nrrd"

    def _begin(self, node, what):
        self._folder = Path(tempfile.mkdtemp(prefix="volume-", dir=self._worker.folder))
        self._what, self._nodeId, scene = what, node.GetID(), slicer.mrmlScene
        self._observed = [(node, node.AddObserver(event, self._onChange)) for event in changeEvents(node)]
        for event, callback in ((scene.NodeRemovedEvent, self._onChange), (scene.StartCloseEvent, self._onClose)):
            self._observed.append((scene, scene.AddObserver(event, callback)))
        return self._folder

    def _onChange(self, caller, event):
        node = slicer.mrmlScene.GetNodeByID(self._nodeId)
        if node is None or node.GetImageData() is None or volumeKey(node) != self._what[0]:
            self.drop()

    def _onClose(self, caller, event):
        self.drop()


_written = None


def writtenVolume(worker):
    """The one of this Slicer. worker: as of `WrittenVolume`."""
    global _written
    _written = _written or WrittenVolume(worker)
    return _written
