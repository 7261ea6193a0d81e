"""The task Generate Lesion in a panel: synthetic CTs of given organs, with a lesion where it was drawn."""

from slicer.i18n import tr as _

from ..scene import exchange
from ..sections.label_input import labelsProblem
from ..sections.lesion import LesionLogic, LesionPart, kindText
from ..sections.run import timeText
from ..sections.task import TaskPart
from ..toolkit.bindings import fillQualities
from ..views.overlay import OverlayViews, nameButtons
from .synthesize import WINDOWS, regionText


class GenerateLesionLogic(LesionLogic):
    task = "generate-lesion"
    inputProblem = staticmethod(labelsProblem)

    def resultName(self, sourceNode, number=0):
        return _("{name} synthetic CT with lesion, seed {seed}").format(name=sourceNode.GetName(), seed=number)

    def addOutputToScene(self, slot, voxels, matrix, provenance, source, target):
        """Add a sample as a volume; the first one fills the target, if there is one. Returns the node."""
        facts, number = provenance.get("facts", {}), provenance.get("sample", 1)
        seed = (facts.get("seeds") or [0] * number)[number - 1]
        window = WINDOWS.get(facts.get("region"), WINDOWS["abdomen"])
        name, target = self.resultName(source, seed), target if number == 1 else None
        return self.markLesion(exchange.addResult(source, voxels, matrix, name, provenance, target, window=window))


class GenerateLesionPart(LesionPart):
    title = _("Lesion")
    compareViews = OverlayViews

    def __init__(self, ui, bindings, actions):
        LesionPart.__init__(self, ui, bindings, actions)
        fillQualities(self.ui.qualityBox)
        nameButtons(self.ui)

    def resultText(self, nodes, provenance):
        self.showSeveral(nodes)
        facts = provenance.get("facts", {})
        if "lesion" not in facts:
            return TaskPart.resultText(self, nodes, provenance)
        lesion = facts["lesion"]
        text = _("Synthetic CT, {region}, with {kind} of {ml:.2g} ml").format(
            region=regionText(facts["region"]), kind=kindText(lesion["kind"]).lower(), ml=lesion["lesion_ml"]
        )
        if len(nodes) > 1:
            text = _("{n} versions: {what}").format(n=len(nodes), what=text)
        time = _("Made in {time}.").format(time=timeText(provenance.get("seconds", 0)))
        notice = _("No patient has this anatomy or this lesion: for research only, not for diagnosis.")
        return f"<b style='font-size:large'>{text}</b><br/>{time}<br/>{notice}"
