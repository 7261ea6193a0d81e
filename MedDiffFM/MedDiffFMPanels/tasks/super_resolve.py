"""The task Super-Resolve in a panel: the distances of the slices before and after."""

import numpy as np
from slicer.i18n import tr as _

from MedDiffFMLib.parameters.super_resolve import THICKNESS_MM, THINNEST_MM, factor_for

from ..failures import Problem
from ..logic import PanelLogic
from ..scene import exchange
from ..scene.slice_thickness import sliceThickness
from ..sections.run import timeText
from ..sections.task import TaskPart
from ..sections.uncertainty import UncertaintyPart, uncertaintyText
from ..toolkit.bindings import fillQualities


class SuperResolveLogic(PanelLogic):
    task = "super-resolve"

    def process(self, inputVolume, target=None, backend=None, **parameters):
        return PanelLogic.process(
            self, inputVolume, target, backend, **ownThickness(inputVolume, parameters), **parameters
        )

    def resultName(self, sourceNode, number=0):
        return _("{name}, {distance:.3g} mm slices").format(name=sourceNode.GetName(), distance=number)

    def addOutputToScene(self, slot, voxels, matrix, provenance, source, target):
        name = self.resultName(source, provenance["facts"]["slice_distance_mm"][1])
        return exchange.addResult(source, voxels, matrix, name, provenance, target)


class SuperResolvePart(TaskPart):
    title = _("Super-Resolve")

    def __init__(self, ui, bindings, actions):
        TaskPart.__init__(self, ui, bindings, actions)
        fillQualities(self.ui.qualityBox)
        self.uncertainty = UncertaintyPart(ui, bindings, actions)
        self.ui.differenceButton.toolTip = _(
            "Show each new slice minus the thick slice that it lies in: the added detail."
        )

    def inputParameters(self, chosen):
        return ownThickness(self.inputNode, chosen)

    def requestedOutputs(self):
        return self.uncertainty.requested

    def showResult(self, nodes, source):
        self.uncertainty.show(nodes[0])
        return False

    def _distance(self):
        """The chosen distance of the new slices in mm."""
        return float(self.bindings.value("spacing"))

    def update(self):
        node = self.inputNode
        hasVoxels = node is not None and node.GetImageData() is not None
        self.ui.thickLabel.text = slicesText(*slicesOf(node)) if hasVoxels else ""
        self.ui.thinLabel.text = self._thinText(*slicesOf(node)) if hasVoxels else ""
        known = ownThickness(node, {}) if hasVoxels else {}
        text = _("{thickness} mm, from DICOM").format(**known) if known else _("Unknown: as they are apart")
        self.ui.thicknessBox.specialValueText = text
        self.uncertainty.update()

    def _thinText(self, count, thick, plane):
        """A line on the new slices; empty if there is nothing to split."""
        factor = factor_for(thick, self._distance())
        if factor == 1 or thick / factor < THINNEST_MM:
            return ""
        new = slicesText(count * factor, thick / factor, plane)
        return _("{slices}: each slice becomes {factor}").format(slices=new, factor=factor)

    def problem(self):
        thick = slicesOf(self.inputNode)[1]
        factor = factor_for(thick, self._distance())
        if factor == 1:
            return Problem(
                _("The slices are {thick:.3g} mm apart: no even split comes nearer to {distance:.3g} mm.").format(
                    thick=thick, distance=self._distance()
                ),
                _("Choose thinner slices, or a CT with thicker ones."),
            )
        if thick / factor < THINNEST_MM:
            return Problem(
                _("No scan has slices as thin as {thin:.2g} mm.").format(thin=thick / factor),
                _("Choose at least {least:g} mm.").format(least=THINNEST_MM),
            )
        if self.bindings.value("quality") == "paper" and self.bindings.value("thickness"):
            return Problem(
                _("The published method takes slices for plain means, whatever their thickness."),
                _("Choose another quality, or the lowest value of “Thickness”."),
            )
        return None

    def resultText(self, nodes, provenance):
        facts = provenance.get("facts", {})
        if not facts.get("slices"):
            return TaskPart.resultText(self, nodes, provenance)
        (before, after), (thick, thin) = facts["slices"], facts["slice_distance_mm"]
        numbers = _("{thick:.3g} mm → {thin:.3g} mm: {before} slices became {after}").format(
            thick=thick, thin=thin, before=before, after=after
        )
        means = meansText(facts)
        name, seconds = nodes[0].GetName(), provenance.get("seconds", 0)
        where = _("“{name}”, made in {time}").format(name=name, time=timeText(seconds))
        notice = _("Detail between the old slices is made by a model, for research only: not for diagnosis.")
        lines = [f"<b style='font-size:large'>{numbers}</b>", means, where, uncertaintyText(nodes[0]), notice]
        return "<br/>".join(filter(None, lines))


def meansText(facts):
    """A sentence on the means of the new slices. facts: of a run."""
    if facts.get("slice_means") == "profile":
        text = _(
            "The mean of the new slices, weighted as in a slice {thickness:.3g} mm thick, is the old slice (within "
            "{error:.2g} HU)."
        )
        return text.format(thickness=facts["slice_thickness_mm"], error=facts["block_mean_error_hu"])
    text = _("The mean of every {factor} new slices is the old slice (within {error:.2g} HU).")
    return text.format(factor=facts["factor"], error=facts["block_mean_error_hu"])


def ownThickness(volumeNode, chosen):
    """The parameter `thickness` as a volume's DICOM files state it: nothing if they do not, if it is not that of the
    slices to be split, or if what is `chosen` names another or needs none.
    """
    if volumeNode is None or "thickness" in chosen or chosen.get("quality") == "paper":
        return {}
    spacing, thickness = volumeNode.GetSpacing(), sliceThickness(volumeNode)
    low, high = THICKNESS_MM
    usable = thickness is not None and low <= thickness <= high and spacing[2] > 0.99 * max(spacing)
    return {"thickness": f"{thickness:.4g}"} if usable else {}


def slicesOf(volumeNode):
    """(number, distance in mm, name of the plane) of the slices that the task splits: those with the largest distance,
    the axial ones if all distances are alike, as in MedDiffFMLib.
    """
    spacing, size = np.array(volumeNode.GetSpacing()), volumeNode.GetImageData().GetDimensions()
    directions = np.abs(exchange.ijkToRAS(volumeNode)[:3, :3] / spacing)
    planes = [(2, _("axial")), (1, _("coronal")), (0, _("sagittal"))]
    for patientAxis, plane in planes:
        axis = int(directions[patientAxis].argmax())
        if spacing[axis] > 0.99 * spacing.max():
            return size[axis], float(spacing[axis]), plane


def slicesText(count, distance, plane):
    """A line on the slices of a volume."""
    return _("{count} {plane} slices, {distance:.3g} mm apart").format(count=count, plane=plane, distance=distance)
