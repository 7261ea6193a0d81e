"""What the six modules say of themselves."""

import slicer
from slicer.i18n import tr as _

from .sample_data import registerSampleData


def describeModule(parent, whatItDoes, steps=""):
    """Help, contributors and acknowledgement of a module; `whatItDoes` is its first sentence, `steps`
    say how to use it where that is not as usual."""
    parent.dependencies = []
    parent.contributors = ["The MedDiff-FM developers"]
    steps = steps or _(
        "Choose a CT, click <b>Run</b>, and compare the result with the input. Everything else is optional."
    )
    notice = _("For research only: results are made by a model and must not be used for diagnosis.")
    where = _("Everything is computed on this computer, unless you choose another one under Advanced.")
    parent.helpText = f"<p>{whatItDoes}</p><p>{steps}</p><p>{where}</p><p><b>{notice}</b></p>"
    parent.acknowledgementText = _(
        "The method is MedDiff-FM, a diffusion-based foundation model for CT. The anatomical classes are those of "
        "TotalSegmentator."
    )
    slicer.app.connect("startupCompleted()", registerSampleData)
