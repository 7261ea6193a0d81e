"""The task Synthesize CT in a panel: synthetic CTs of given organs, each from its own seed."""

from slicer.i18n import tr as _

from ..logic import PanelLogic
from ..scene import exchange
from ..sections.label_input import labelsProblem
from ..sections.run import timeText
from ..sections.task import TaskPart
from ..toolkit.bindings import fillQualities
from ..views.overlay import OverlayViews, nameButtons

# (width, level) in HU in which a CT of the region is usually read
WINDOWS = {"head-neck": (350.0, 50.0), "chest": (1400.0, -300.0), "abdomen": (400.0, 50.0)}


class SynthesizeLogic(PanelLogic):
    task = "synthesize"
    inputProblem = staticmethod(labelsProblem)

    def resultName(self, sourceNode, number=0):
        return _("{name} synthetic CT, seed {seed}").format(name=sourceNode.GetName(), seed=number)

    def addOutputToScene(self, slot, voxels, matrix, provenance, source, target):
        """Add a sample as a volume; the first one fills the target, if there is one. Returns the node."""
        facts, number = provenance.get("facts", {}), provenance.get("sample", 1)
        seed = (facts.get("seeds") or [0] * number)[number - 1]
        window = WINDOWS.get(facts.get("region"), WINDOWS["abdomen"])
        name, target = self.resultName(source, seed), target if number == 1 else None
        return exchange.addResult(source, voxels, matrix, name, provenance, target, window=window)


class SynthesizePart(TaskPart):
    title = _("Synthesize CT")
    compareViews = OverlayViews

    def __init__(self, ui, bindings, actions):
        TaskPart.__init__(self, ui, bindings, actions)
        fillQualities(self.ui.qualityBox)
        nameButtons(self.ui)

    def resultText(self, nodes, provenance):
        facts = provenance.get("facts", {})
        if not facts.get("seeds"):
            return TaskPart.resultText(self, nodes, provenance)
        if len(nodes) > 1:
            text = _("{n} synthetic CTs, {region}").format(n=len(nodes), region=regionText(facts["region"]))
            where = _("Made in {time}. Choose which one to look at; all are in the scene.")
        else:
            text = _("A synthetic CT, {region}").format(region=regionText(facts["region"]))
            where = _("“{name}”, made in {time}")
        where = where.format(name=nodes[0].GetName(), time=timeText(provenance.get("seconds", 0)))
        notice = _("No patient has this anatomy: it is made by a model, for research only, not for diagnosis.")
        return f"<b style='font-size:large'>{text}</b><br/>{where}<br/>{notice}"


def regionText(region):
    """The name of a region, or of several joined by “ + ”, for the user."""
    texts = {"head-neck": _("head and neck"), "chest": _("chest"), "abdomen": _("abdomen")}
    return ", ".join(texts.get(part, part) for part in region.split(" + "))
