"""Detect anomalies: which organ to look at, how far it is from what the model expects, and where."""

import html

from slicer.i18n import tr as _

from MedDiffFMLib.anatomy.classes import BODY, BONE, GAS, GROUPS, LUNG, ORGANS, label_for_foreign_name, label_numbers

from ..failures import Problem
from ..logic import PanelLogic
from ..scene import exchange
from ..scene.findings_nodes import FindingsNodes, automaticRule, colorMap
from ..sections.findings import FindingsPart
from ..sections.run import timeText
from ..sections.task import TaskPart
from ..toolkit.bindings import fillCombo
from ..views.colors import quiet

BY_THRESHOLD = {BODY, LUNG, BONE, GAS}  # what is found without a segmentation


class DetectAnomaliesLogic(PanelLogic):
    task = "detect-anomalies"

    def resultName(self, sourceNode, number=0):
        return _("{name} deviation").format(name=sourceNode.GetName())

    def addOutputToScene(self, slot, voxels, matrix, provenance, source, target):
        node = PanelLogic.addOutputToScene(self, slot, voxels, matrix, provenance, source, target)
        colorMap(node)
        return node

    def findings(self, mapNode, rule=None):
        """For scripts: the segmentation and the table of a map, for a `findings.Rule` or the automatic one. Returns
        FindingsNodes.
        """
        nodes = FindingsNodes(mapNode)
        for _turn in nodes.applyRule(rule or automaticRule(mapNode)):
            pass
        return nodes

    def _write(self, *args):
        """Mask and table are made here, so that they can follow the threshold."""
        request = yield from PanelLogic._write(self, *args)
        files = {name: file for name, file in request["files"].items() if name not in ("mask", "findings")}
        return request | {"files": files}


class DetectAnomaliesPart(TaskPart):
    title = _("Detect Anomalies")

    def __init__(self, ui, bindings, actions):
        TaskPart.__init__(self, ui, bindings, actions)
        self._offer, self._known = None, ([], BY_THRESHOLD)
        for button in ("inputView", "resultView", "side", "flicker", "difference"):
            getattr(ui, f"{button}Button").visible = False
        ui.resultSection.layout().addWidget(ui.findingsWidget)
        fillCombo(ui.organBox, organsToChoose(BY_THRESHOLD))
        self.findings = FindingsPart(ui, bindings)

    # which organ

    def update(self):
        self._fillOrgans()
        self.findings.update()

    def _classes(self):
        """The classes that the chosen anatomy can show."""
        kind = self.bindings.value("anatomyKind")
        if kind == "totalsegmentator":
            return set(ORGANS)
        node = self.bindings.chosenNode("anatomySegmentation") if kind == "segmentation" else None
        if node is None:
            return BY_THRESHOLD
        segmentation = node.GetSegmentation()
        names = [segmentation.GetSegment(key).GetName() for key in segmentation.GetSegmentIDs()]
        if self._known[0] != names:
            self._known = (names, BY_THRESHOLD | ({label_for_foreign_name(name) for name in names} - {None}))
        return self._known[1]

    def _fillOrgans(self):
        """Offer what the anatomy shows. What was chosen stays, even if it is not there any more."""
        chosen, classes = self.bindings.value("organ") or "body", self._classes()
        offer = organsToChoose(classes)
        if chosen not in dict(offer):
            offer.append((chosen, _("{organ} (not in this anatomy)").format(organ=organText(chosen))))
        box = self.ui.organBox
        if offer != self._offer:
            self._offer = offer
            box.blockSignals(True)
            fillCombo(box, offer)
            box.setCurrentIndex(box.findData(chosen))
            box.blockSignals(False)
        hint = _("For a single organ, choose its segmentation under Anatomy.")
        self.ui.organLabel.text = quiet(hint)
        self.ui.organLabel.visible = classes == BY_THRESHOLD

    def problem(self):
        organ = self.bindings.value("organ") or "body"
        if set(label_numbers(organ)) & self._classes():
            return None
        return Problem(
            _("The anatomy does not show this: {organ}.").format(organ=organText(organ)),
            _("Choose a segmentation that has it under Anatomy, or another organ."),
        )

    def leave(self, sceneCloses=False):
        self.findings.leave()

    # the result

    def showResult(self, nodes, source):
        self.findings.show(nodes[0], source)
        return True

    def resultText(self, nodes, provenance):
        facts, seconds = provenance.get("facts", {}), provenance.get("seconds", 0)
        organ = html.escape(organText(facts.get("organ", "")))
        where = _("{organ} of “{name}”, compared with what the model expects, in {time}").format(
            organ=organ, name=html.escape(exchange.sourceOf(nodes[0]).GetName()), time=timeText(seconds)
        )
        notice = _(
            "The model that comes with this has many false findings: look at each one. For research only: not for "
            "diagnosis."
        )
        return f"{where}<br/>{notice}"


def organsToChoose(classes):
    """[(name, words)]: what can be found by threshold, groups of several, then single organs."""
    groups = {"kidney": _("Both kidneys"), "lung_left": _("Left lung"), "lung_right": _("Right lung")}
    groups |= {"spine": _("Spine"), "ribs": _("Ribs"), "bowel": _("Bowel"), "vessels": _("Vessels")}
    offer = [("body", _("Whole body")), ("lungs", _("Lungs")), ("bones", _("Bones"))]
    offer += [(name, words) for name, words in groups.items() if len(set(GROUPS[name]) & classes) > 1]
    return offer + [(ORGANS[number], organText(ORGANS[number])) for number in sorted(classes) if number < BODY]


def organText(organ):
    """kidney_right → Kidney right."""
    words = organ.replace("_", " ")
    return words[:1].upper() + words[1:]
