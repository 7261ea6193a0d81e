"""Inpaint Lesion: a lesion of a kind, where it was drawn, in a CT that has none there."""

from slicer.i18n import tr as _

from ..scene import exchange
from ..sections.lesion import LesionLogic, LesionPart, kindText
from ..sections.run import timeText
from ..sections.task import TaskPart


class InpaintLesionLogic(LesionLogic):
    task = "inpaint-lesion"

    def resultName(self, sourceNode, number=0):
        return _("{name} with lesion, seed {seed}").format(name=sourceNode.GetName(), seed=number)

    def addOutputToScene(self, slot, voxels, matrix, provenance, source, target):
        """The first sample fills the target, if there is one; every other one becomes a volume of its own."""
        number = provenance.get("sample", 1)
        seed = (provenance.get("facts", {}).get("seeds") or [0] * number)[number - 1]
        filled = target if number == 1 else None
        name = self.resultName(source, seed)
        return self.markLesion(exchange.addResult(source, voxels, matrix, name, provenance, filled))


class InpaintLesionPart(LesionPart):
    title = _("Lesion")

    def resultText(self, nodes, provenance):
        self.showSeveral(nodes)
        facts = provenance.get("facts", {})
        if "lesion_ml" not in facts:
            return TaskPart.resultText(self, nodes, provenance)
        what = _("{kind} of {ml:.2g} ml").format(kind=kindText(facts["kind"]), ml=facts["lesion_ml"])
        if len(nodes) > 1:
            what = _("{n} versions: {what}").format(n=len(nodes), what=what)
        made = _("Made in {time}. Outside of what was drawn no voxel was changed.")
        notice = _("This lesion is synthetic: no patient has it. For research only, not for diagnosis.")
        made = made.format(time=timeText(provenance.get("seconds", 0)))
        return f"<b style='font-size:large'>{what}</b><br/>{made}<br/>{notice}"
