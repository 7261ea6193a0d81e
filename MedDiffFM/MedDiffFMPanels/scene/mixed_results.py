"""Results of denoising whose strength can be changed after the run: mixes of the input and the full result, which is
kept beside each of them as a hidden volume and saved with the scene.
"""

import hashlib

import numpy as np
import slicer
from slicer.i18n import tr as _

from MedDiffFMLib.tasks.strength import interpolated, mix, summary

from ..failures import Problem
from . import exchange, uncertainty
from .input_changes import volumeKey

FULL_OF = exchange.ATTRIBUTE + "fullOf"  # attribute of a full result, and its reference to the mix


def addMixed(source, full, matrix, name, provenance, target, percent):
    """Add the mix of a source and its full result beside the source, or fill `target`, and keep the full result.

    If the source was changed during the run, the full result itself is added. Returns the mix's node.
    """
    if _isChanged(source, provenance):
        percent = 100.0
    voxels = mix(slicer.util.arrayFromVolume(source), full, percent)
    node = exchange.addResult(source, voxels, matrix, name, _withStrength(provenance, percent), target)
    _keepFull(node, full)
    return node


def addUncertaintyOf(result, voxels, matrix, provenance):
    """Add the uncertainty of a result beside it, at the strength of a mix, which it follows. Returns its node."""
    node = uncertainty.addUncertainty(result, voxels, matrix, provenance)
    if fullOf(result) is not None:
        _keepFull(node, voxels)
        uncertainty.setStrength(node, voxels, strengthOf(result), exchange.provenanceOf(result))
    uncertainty.color(node, uncertainty.topOf(voxels))
    return node


def _keepFull(node, full):
    """Keep the voxels of a result at full strength beside it, hidden."""
    hidden = fullOf(node) or _newHidden(node)
    slicer.util.updateVolumeFromArray(hidden, full)
    hidden.CopyOrientation(node)


def canBeMixed(provenance):
    """Whether a provenance has what a mix needs; that of another version of the worker may not."""
    return "source" in provenance and "noise_by_strength_hu" in provenance.get("facts", {})


def _newHidden(node):
    hidden = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
    hidden.UnRegister(None)  # the scene and this reference hold it
    hidden.SetName(slicer.mrmlScene.GenerateUniqueName(f"{node.GetName()} full strength"))
    hidden.SetHideFromEditors(True)
    hidden.SetAttribute(FULL_OF, "true")
    hidden.SetNodeReferenceID(FULL_OF, node.GetID())  # before it is in the scene, where it would be an orphan
    return slicer.mrmlScene.AddNode(hidden)


def _hiddenVolumes():
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return [node for node in volumes if node.GetAttribute(FULL_OF) and node.GetImageData()]


def fullOf(node):
    """The hidden volume with the full result of a mix, or None if there is none."""
    return next((hidden for hidden in _hiddenVolumes() if hidden.GetNodeReference(FULL_OF) is node), None)


def newestOf(source):
    """The last mix in the scene that was made from a source, or None."""
    mixes = [node for hidden in _hiddenVolumes() if (node := hidden.GetNodeReference(FULL_OF)) is not None]
    mixes = [node for node in mixes if exchange.sourceOf(node) is source and not uncertainty.isUncertainty(node)]
    return mixes[-1] if mixes else None


def removeOrphans():
    """Remove the full results of mixes that were removed."""
    for hidden in _hiddenVolumes():
        if hidden.GetNodeReference(FULL_OF) is None:
            slicer.mrmlScene.RemoveNode(hidden)


def strengthOf(node):
    """The strength of a mix in percent."""
    return exchange.provenanceOf(node)["facts"]["strength_percent"]


def setStrength(node, percent):
    """Mix a result anew from its source and its full result, and tell so in its provenance.

    The voxels depend on the strength alone, not on the strengths before.
    """
    source, full = exchange.sourceOf(node), fullOf(node)
    slicer.util.arrayFromVolume(node)[...] = mix(*map(slicer.util.arrayFromVolume, (source, full)), percent)
    slicer.util.arrayFromVolumeModified(node)
    exchange.markResult(node, source, _withStrength(exchange.provenanceOf(node), percent))
    spread = uncertainty.uncertaintyOf(node)
    if spread is not None and (fullSpread := fullOf(spread)) is not None:
        voxels = slicer.util.arrayFromVolume(fullSpread)
        uncertainty.setStrength(spread, voxels, percent, exchange.provenanceOf(node))


def _withStrength(provenance, percent):
    """The provenance of a run at another strength."""
    facts = provenance["facts"] | {"strength_percent": percent}
    noise = facts["noise_by_strength_hu"]
    facts["noise_after_hu"] = noise.get(f"{percent:g}") or interpolated(noise, percent)
    parameters = provenance["parameters"] | {"strength": percent}
    return provenance | {"facts": facts, "parameters": parameters, "summary": summary(facts)}


def _isChanged(source, provenance):
    """Whether a source has other voxels than the run was given."""
    record = provenance["source"]
    voxels = np.ascontiguousarray(slicer.util.arrayFromVolume(source), record["voxel_type"])
    digest = hashlib.sha256(voxels.astype(voxels.dtype.newbyteorder("<"), copy=False))
    return digest.hexdigest() != record["voxels_sha256"]


class MixCheck:
    """Finds why a result cannot be mixed anew. It looks at voxels only once after a change of them."""

    def __init__(self):
        self._key = self._problem = None

    def problem(self, node):
        """The Problem that keeps a mix from another strength, or None."""
        source = exchange.sourceOf(node)
        if source is None or source.GetImageData() is None:
            name = node.GetAttribute(exchange.ATTRIBUTE + "source")
            return Problem(
                _("“{result}” keeps its strength: “{name}” was deleted.").format(result=node.GetName(), name=name),
                _("Load that CT and run again to choose another one."),
            )
        key = [volumeKey(one) for one in (source, node, fullOf(node))] + [strengthOf(node)]
        if key != self._key:
            self._key, self._problem = key, self._find(source, node)
        return self._problem

    def _find(self, source, node):
        """The Problem of a mix whose nodes are all there, by their voxels."""
        name, again = node.GetName(), _("Run again to choose another one.")
        if _isChanged(source, exchange.provenanceOf(node)):
            what = _("“{result}” keeps its strength: “{name}” was changed after the run.")
            return Problem(what.format(result=name, name=source.GetName()), again)
        before, after, voxels = (slicer.util.arrayFromVolume(one) for one in (source, fullOf(node), node))
        if voxels.shape != after.shape or not np.array_equal(mix(before, after, strengthOf(node)), voxels):
            what = _("“{result}” keeps its strength: it was edited, which another one would undo.")
            return Problem(what.format(result=name), again)
        return None
