"""The task Detect Anomalies in a panel: the organ to examine, and the findings in its map."""

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

BY_THRESHOLD = {BODY, LUNG, BONE, GAS}  # the classes that are found without a segmentation


class DetectAnomaliesLogic(PanelLogic):
    task = "detect-anomalies"

    def resultName(self, sourceNode, number=0):
        return _("{name} deviation").format(name=sourceNode.GetName())

    def addOutputToScene(self, slot, voxels, matrix, provenance, source, target):
        node = PanelLogic.addOutputToScene(self, slot, voxels, matrix, provenance, source, target)
        colorMap(node)
        return node

    def findings(self, mapNode, rule=None):
        """Make the segmentation and the table of a map, for use in scripts. Returns its `FindingsNodes`.

        rule: a `findings.Rule`; None for the one with the task's threshold.
        """
        nodes = FindingsNodes(mapNode)
        for _step in nodes.applyRule(rule or automaticRule(mapNode)):
            pass
        return nodes

    def _write(self, *args):
        """Write the inputs and return the request without mask and table: Slicer makes them, for any threshold."""
        request = yield from PanelLogic._write(self, *args)
        files = {name: file for name, file in request["files"].items() if name not in ("mask", "findings")}
        return request | {"files": files}


class DetectAnomaliesPart(TaskPart):
    title = _("Detect Anomalies")

    def __init__(self, ui, bindings, actions):
        TaskPart.__init__(self, ui, bindings, actions)
        self._organs, self._known = None, ([], BY_THRESHOLD)  # items of the box; (segment names, their classes)
        for button in ("inputView", "resultView", "side", "flicker", "difference"):
            getattr(ui, f"{button}Button").visible = False
        ui.resultSection.layout().addWidget(ui.findingsWidget)
        fillCombo(ui.organBox, organsToChoose(BY_THRESHOLD))
        self.findings = FindingsPart(ui, bindings)

    # the organ

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
        """Offer the organs that the anatomy can show. The chosen one stays, even if it cannot be shown any more."""
        chosen, classes = self.bindings.value("organ") or "body", self._classes()
        organs = organsToChoose(classes)
        if chosen not in dict(organs):
            organs.append((chosen, _("{organ} (not in this anatomy)").format(organ=organText(chosen))))
        box = self.ui.organBox
        if organs != self._organs:
            self._organs = organs
            box.blockSignals(True)
            fillCombo(box, organs)
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
            "The bundled model gives many false findings: look at each one. For research only: not for diagnosis."
        )
        return f"{where}<br/>{notice}"


def organsToChoose(classes):
    """[(organ, text)] for a combo box: what is found by threshold, groups of organs, single organs."""
    groups = {"kidney": _("Both kidneys"), "lung_left": _("Left lung"), "lung_right": _("Right lung")}
    groups |= {"spine": _("Spine"), "ribs": _("Ribs"), "bowel": _("Bowel"), "vessels": _("Vessels")}
    organs = [("body", _("Whole body")), ("lungs", _("Lungs")), ("bones", _("Bones"))]
    organs += [(name, text) for name, text in groups.items() if len(set(GROUPS[name]) & classes) > 1]
    return organs + [(ORGANS[number], organText(ORGANS[number])) for number in sorted(classes) if number < BODY]


def organText(organ):
    """The text for an organ: “Kidney right” for kidney_right."""
    text = organ.replace("_", " ")
    return text[:1].upper() + text[1:]
