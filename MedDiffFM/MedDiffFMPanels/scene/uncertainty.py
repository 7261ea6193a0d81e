"""The uncertainty of a result as a volume of its own: its place in the scene, its strength, and its colors in HU."""

import numpy as np
import slicer
from slicer.i18n import tr as _

from MedDiffFMLib.tasks.strength import scaled

from . import exchange

UNCERTAINTY, COLOR_TABLE = (exchange.ATTRIBUTE + word for word in ("uncertainty", "colors"))
COLORS_OF_TABLE = 256
LOW, HIGH = (1.0, 0.85, 0.2), (0.85, 0.1, 0.1)  # yellow to red
OPACITY, NOT_SEEN = 0.5, 0.25  # of what is seen; the share of the range below which nothing is
LEAST_TOP_HU = 1.0


def addUncertainty(result, voxels, matrix, provenance):
    """Add a result's uncertainty in HU beside it, or fill the one that it has. Returns its node."""
    name = _("{name} uncertainty").format(name=result.GetName())
    source = exchange.sourceOf(result)
    node = exchange.addResult(source, voxels, matrix, name, provenance, uncertaintyOf(result))
    node.SetAttribute(UNCERTAINTY, "true")
    result.SetNodeReferenceID(UNCERTAINTY, node.GetID())
    return node


def uncertaintyOf(result):
    """The uncertainty of a result, or None."""
    return result.GetNodeReference(UNCERTAINTY) if result is not None else None


def isUncertainty(node):
    """Whether a node is the uncertainty of some result."""
    return bool(node.GetAttribute(UNCERTAINTY))


def setStrength(node, full, percent, provenance):
    """Scale an uncertainty to another strength. full: its voxels at full strength; provenance: of the result."""
    slicer.util.updateVolumeFromArray(node, scaled(full, percent))
    exchange.markResult(node, exchange.sourceOf(node), provenance | {"output": "uncertainty"})


def release(result):
    """Let go of the uncertainty of a result that was filled anew without one: it stays as that of the run before."""
    if uncertaintyOf(result) is not None:
        result.SetNodeReferenceID(UNCERTAINTY, None)


def color(node, topHU):
    """Color an uncertainty from yellow to red, up to `topHU` HU; the lowest quarter is not seen. With a legend."""
    table = node.GetNodeReference(COLOR_TABLE)
    if table is None:
        table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", f"{node.GetName()} colors")
        table.SetTypeToUser()
        table.SetHideFromEditors(False)  # Slicer 5.10 leaves hidden tables out of a scene that it saves as .mrml
        node.SetNodeReferenceID(COLOR_TABLE, table.GetID())
    table.SetNumberOfColors(COLORS_OF_TABLE)
    for number, share in enumerate(np.linspace(0, 1, COLORS_OF_TABLE)):
        mixed = [float(low + share * (high - low)) for low, high in zip(LOW, HIGH, strict=True)]
        table.SetColor(number, f"{share * topHU:.1f} HU", *mixed, float(share >= NOT_SEEN))
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(topHU, topHU / 2)
    display.SetAndObserveColorNodeID(table.GetID())
    legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(node)
    legend.SetTitleText(_("Uncertainty (HU)"))
    legend.SetLabelFormat("%.1f")
    legend.SetNumberOfLabels(3)


def topOf(full):
    """The HU that the highest color stands for; 99 % of the uncertain voxels are below it at full strength."""
    sample = full.reshape(-1)[:: max(1, full.size // 1_000_000)]
    sample = sample[sample > 0]
    return max(LEAST_TOP_HU, float(np.percentile(sample, 99))) if sample.size else LEAST_TOP_HU


def showOver(node, shown):
    """Show an uncertainty over what the slice views show, or take every uncertainty away."""
    if shown:
        slicer.util.setSliceViewerLayers(foreground=node, foregroundOpacity=OPACITY)
        _renewLegend(node)
        return
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        foreground = slicer.mrmlScene.GetNodeByID(composite.GetForegroundVolumeID() or "")
        if foreground is not None and isUncertainty(foreground):
            composite.SetForegroundVolumeID(None)
            _renewLegend(foreground)


def _renewLegend(node):
    """Have the views draw the legend of an uncertainty, or take it away: they look only when it is changed."""
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node)
    if legend is not None:
        legend.Modified()
