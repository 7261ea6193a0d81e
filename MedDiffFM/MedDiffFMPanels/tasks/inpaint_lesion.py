"""The task Inpaint Lesion in a panel: a synthetic lesion in a CT, where it was drawn."""

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
        """Add a sample as a volume; the first one fills the target, if there is one. Returns the node."""
        number = provenance.get("sample", 1)
        seed = (provenance.get("facts", {}).get("seeds") or [0] * number)[number - 1]
        name, target = self.resultName(source, seed), target if number == 1 else None
        return self.markLesion(exchange.addResult(source, voxels, matrix, name, provenance, target))


class InpaintLesionPart(LesionPart):
    title = _("Lesion")

    def resultText(self, nodes, provenance):
        self.showSeveral(nodes)
        facts = provenance.get("facts", {})
        if "lesion_ml" not in facts:
            return TaskPart.resultText(self, nodes, provenance)
        text = _("{kind} of {ml:.2g} ml").format(kind=kindText(facts["kind"]), ml=facts["lesion_ml"])
        if len(nodes) > 1:
            text = _("{n} versions: {what}").format(n=len(nodes), what=text)
        time = _("Made in {time}. Outside of what was drawn no voxel was changed.")
        notice = _("This lesion is synthetic: no patient has it. For research only, not for diagnosis.")
        time = time.format(time=timeText(provenance.get("seconds", 0)))
        return f"<b style='font-size:large'>{text}</b><br/>{time}<br/>{notice}"
