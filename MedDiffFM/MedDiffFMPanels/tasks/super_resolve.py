"""Super-Resolve: how thick the slices are, how thin they shall be, and what became of them."""

import numpy as np
from slicer.i18n import tr as _

from MedDiffFMLib.parameters.super_resolve import THINNEST_MM, factor_for

from ..failures import Problem
from ..logic import PanelLogic
from ..scene import exchange
from ..sections.run import timeText
from ..sections.task import TaskPart
from ..toolkit.bindings import fillQualities


class SuperResolveLogic(PanelLogic):
    task = "super-resolve"

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
        # what the difference shows here
        self.ui.differenceButton.toolTip = _("New slices minus the thick slice that they lie in: the detail added.")

    def _wanted(self):
        return float(self.bindings.value("spacing"))

    def update(self):
        node = self.inputNode
        usable = node is not None and node.GetImageData() is not None
        self.ui.thickLabel.text = slicesText(*slicesOf(node)) if usable else ""
        self.ui.thinLabel.text = self._thinText(*slicesOf(node)) if usable else ""

    def _thinText(self, count, thick, plane):
        factor = factor_for(thick, self._wanted())
        if factor == 1 or thick / factor < THINNEST_MM:
            return ""
        new = slicesText(count * factor, thick / factor, plane)
        return _("{slices}: each slice becomes {factor}").format(slices=new, factor=factor)

    def problem(self):
        thick = slicesOf(self.inputNode)[1]
        factor = factor_for(thick, self._wanted())
        if factor == 1:
            return Problem(
                _("The slices are {thick:.3g} mm apart: no even split comes nearer to {wanted:.3g} mm.").format(
                    thick=thick, wanted=self._wanted()
                ),
                _("Choose thinner slices, or a CT with thicker ones."),
            )
        if thick / factor < THINNEST_MM:
            return Problem(
                _("No scan has slices as thin as {thin:.2g} mm.").format(thin=thick / factor),
                _("Choose at least {least:g} mm.").format(least=THINNEST_MM),
            )
        return None

    def resultText(self, nodes, provenance):
        facts = provenance.get("facts", {})
        if not facts.get("slices"):
            return TaskPart.resultText(self, nodes, provenance)
        (few, many), (thick, thin) = facts["slices"], facts["slice_distance_mm"]
        numbers = _("{thick:.3g} mm → {thin:.3g} mm: {few} slices became {many}").format(
            thick=thick, thin=thin, few=few, many=many
        )
        kept = _("The mean of every {factor} new slices is the old slice (within {error:.2g} HU).").format(
            factor=facts["factor"], error=facts["block_mean_error_hu"]
        )
        name, seconds = nodes[0].GetName(), provenance.get("seconds", 0)
        where = _("“{name}”, made in {time}").format(name=name, time=timeText(seconds))
        notice = _("Detail between the old slices is made by a model, for research only: not for diagnosis.")
        return f"<b style='font-size:large'>{numbers}</b><br/>{kept}<br/>{where}<br/>{notice}"


def slicesOf(volumeNode):
    """Number, distance in mm and plane (in words) of the slices that the task splits."""
    spacing, size = np.array(volumeNode.GetSpacing()), volumeNode.GetImageData().GetDimensions()
    directions = np.abs(exchange.ijkToRAS(volumeNode)[:3, :3] / spacing)
    planes = [(2, _("axial")), (1, _("coronal")), (0, _("sagittal"))]
    # as MedDiffFMLib: the largest distance, the axial slices if all are alike
    for patientAxis, plane in planes:
        axis = int(directions[patientAxis].argmax())
        if spacing[axis] > 0.99 * spacing.max():
            return size[axis], float(spacing[axis]), plane


def slicesText(count, distance, plane):
    return _("{count} {plane} slices, {distance:.3g} mm apart").format(count=count, plane=plane, distance=distance)
