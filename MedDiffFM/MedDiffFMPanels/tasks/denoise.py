"""The task Denoise in a panel: the CT's noise before a run, and before and after it."""

from slicer.i18n import tr as _

from MedDiffFMLib.parameters import TASKS
from MedDiffFMLib.parameters.denoise import FULL_STRENGTH
from MedDiffFMLib.tasks.strength import grains, largest_change

from ..logic import PanelLogic
from ..scene.mixed_results import addMixed, canBeMixed
from ..sections.run import timeText
from ..sections.strength import StrengthPart
from ..sections.task import TaskPart
from ..sections.uncertainty import UncertaintyPart, uncertaintyText
from ..toolkit.bindings import fillCombo, fillQualities

STRENGTH_NAMES = ("strength", "quality", "alone")  # the parameters that decide on it


class DenoiseLogic(PanelLogic):
    """Denoises, for a script with the strength that it names, for a panel so that the strength can be changed later.

    keepsFull: whether the full result is asked for, kept, and mixed here with the input.
    """

    task = "denoise"

    def __init__(self, keepsFull=False):
        PanelLogic.__init__(self)
        self._keepsFull, self._percent = keepsFull, 100.0

    def resultName(self, sourceNode, number=0):
        return _("{name} denoised").format(name=sourceNode.GetName())

    def requestParameters(self, values):
        if not self._keepsFull:
            return values
        params = TASKS[self.task].from_dict({name: values[name] for name in STRENGTH_NAMES if name in values})
        self._percent = params.strength_percent
        return values | {"strength": FULL_STRENGTH}

    def addOutputToScene(self, slot, voxels, matrix, provenance, source, target):
        if not self._keepsFull or not canBeMixed(provenance):
            return PanelLogic.addOutputToScene(self, slot, voxels, matrix, provenance, source, target)
        return addMixed(source, voxels, matrix, self.resultName(source), provenance, target, self._percent)


class DenoisePart(TaskPart):
    title = _("Denoise")

    def __init__(self, ui, bindings, actions):
        TaskPart.__init__(self, ui, bindings, actions)
        fillCombo(self.ui.sigmaBox, [("auto", _("As measured")), ("own", _("My own value"))])
        fillQualities(self.ui.qualityBox)
        self.strength, self.uncertainty = (part(ui, bindings, actions) for part in (StrengthPart, UncertaintyPart))

    def parameters(self):
        ownValue = self.bindings.value("sigmaKind") == "own"
        return {"sigma": self.bindings.value("sigmaHU") if ownValue else "auto"}

    def requestedOutputs(self):
        return self.uncertainty.requested

    def update(self):
        ownValue = self.bindings.value("sigmaKind") == "own"
        self.ui.sigmaRow.visible = self.ui.sigmaRowLabel.visible = ownValue
        self.strength.update()
        self.uncertainty.update()

    def leave(self, sceneCloses=False):
        self.strength.stop()

    def showResult(self, nodes, source):
        self.strength.mixShown()  # the slider may have been moved during the run
        self.uncertainty.show(nodes[0])
        return False

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
        more = _grainAndChange(facts)
        name, seconds = nodes[0].GetName(), provenance.get("seconds", 0)
        where = _("“{name}”, made in {time}").format(name=name, time=timeText(seconds))
        notice = _("Made by a model, for research only: not for diagnosis.")
        lines = [f"<b style='font-size:large'>{numbers}</b>", more, where, uncertaintyText(nodes[0]), notice]
        return "<br/>".join(filter(None, lines))


def _grainAndChange(facts):
    """A line on the grain of the noise and the change of HU, by the facts of a run; empty where neither is known."""
    grain, change = grains(facts), largest_change(facts)
    told = []
    if grain:
        words = _("Grain {before:.2f} → {after:.2f}/mm ({percent:+.0f} %)")
        told.append(words.format(before=grain[0], after=grain[1], percent=100 * (grain[1] / grain[0] - 1)))
    if change:
        tissues = {"lung": _("lung"), "fat": _("fat"), "soft": _("soft tissue"), "bone": _("bone")}
        words = _("mean HU changed by {change:+.1f} at most ({tissue})")
        told.append(words.format(change=change[1], tissue=tissues[change[0]]))
    return " · ".join(told)


def noiseText(hu):
    """A word for the noise in soft tissue, as a radiologist would call it."""
    if hu < 12:
        return _("low: little to gain")
    return _("moderate") if hu < 30 else _("high")
