"""Title, help and acknowledgement of the six modules, and what *Reload* drops."""

import sys

import slicer
from slicer.i18n import tr as _

from .scene.sample_data import registerSampleData

HOMEPAGE = "https://github.com/OWNER/SlicerMedDiffFM"  # as in the extension's CMakeLists.txt


def describeModule(parent, tutorial, whatItDoes, steps=""):
    """Set help, contributors and acknowledgement of a module.

    tutorial: the name of its page in Docs without “tutorial-”. whatItDoes: the first sentence of the help. steps: how
    to use the module, if not as usual.
    """
    parent.dependencies = []
    parent.contributors = ["The MedDiff-FM developers"]
    steps = steps or _(
        "Choose a CT, click <b>Run</b>, and compare the result with the input. Everything else is optional."
    )
    notice = _("For research only: results are made by a model and must not be used for diagnosis.")
    where = _("Everything is computed on this computer, unless you choose another one under Advanced.")
    link = _("A tutorial uses the small CT that comes with the module: {start}read it online{end}.").format(
        start=f'<a href="{HOMEPAGE}/blob/main/Docs/tutorial-{tutorial}.md">', end="</a>"
    )
    parent.helpText = f"<p>{whatItDoes}</p><p>{steps}</p><p>{link}</p><p>{where}</p><p><b>{notice}</b></p>"
    parent.acknowledgementText = _(
        "The method is MedDiff-FM, a diffusion-based foundation model for CT. The anatomical classes are those of "
        "TotalSegmentator."
    )
    slicer.app.connect("startupCompleted()", registerSampleData)


def unloadSharedPackages():
    """Remove the shared packages from `sys.modules`, so that the next import reads them again."""
    for name in [module for module in sys.modules if module.split(".")[0] in ("MedDiffFMPanels", "MedDiffFMLib")]:
        del sys.modules[name]
