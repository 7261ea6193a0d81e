"""The task Denoise in a panel: the CT's noise before a run, and before and after it."""

from slicer.i18n import tr as _

from ..logic import PanelLogic
from ..sections.run import timeText
from ..sections.task import TaskPart
from ..toolkit.bindings import fillCombo, fillQualities


class DenoiseLogic(PanelLogic):
    task = "denoise"

    def resultName(self, sourceNode, number=0):
        return _("{name} denoised").format(name=sourceNode.GetName())


class DenoisePart(TaskPart):
    title = _("Denoise")

    def __init__(self, ui, bindings, actions):
        TaskPart.__init__(self, ui, bindings, actions)
        fillCombo(self.ui.sigmaBox, [("auto", _("As measured")), ("own", _("My own value"))])
        fillQualities(self.ui.qualityBox)

    def parameters(self):
        ownValue = self.bindings.value("sigmaKind") == "own"
        return {"sigma": self.bindings.value("sigmaHU") if ownValue else "auto"}

    def update(self):
        ownValue = self.bindings.value("sigmaKind") == "own"
        self.ui.sigmaRow.visible = self.ui.sigmaRowLabel.visible = ownValue

    def showFacts(self, facts):
        self.ui.noiseLabel.visible = self.ui.noiseLabelLabel.visible = facts is not None
        if facts is None:
            self.ui.noiseLabel.text = ""
            return
        noise = facts.get("noise_hu")
        if noise is None:
            text = _("There is too little soft tissue to measure the noise: choose “My own value”.")
        else:
            text = _("Measured: {noise:.0f} HU, {word}").format(noise=noise, word=noiseText(noise))
        self.ui.noiseLabel.text = text

    def resultText(self, nodes, provenance):
        facts = provenance.get("facts", {})
        before, after = facts.get("noise_before_hu"), facts.get("noise_after_hu")
        if before is None or after is None:
            return TaskPart.resultText(self, nodes, provenance)
        numbers = _("Noise {before:.0f} HU → {after:.0f} HU").format(before=before, after=after)
        name, seconds = nodes[0].GetName(), provenance.get("seconds", 0)
        where = _("“{name}”, made in {time}").format(name=name, time=timeText(seconds))
        notice = _("Made by a model, for research only: not for diagnosis.")
        return f"<b style='font-size:large'>{numbers}</b><br/>{where}<br/>{notice}"


def noiseText(hu):
    """A word for the noise in soft tissue, as a radiologist would call it."""
    if hu < 12:
        return _("low: little to gain")
    return _("moderate") if hu < 30 else _("high")
