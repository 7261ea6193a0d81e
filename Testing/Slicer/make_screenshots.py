"""Pictures of the panels for the documentation, on the repository's real CT: Docs/Screenshots/panel-*.png.

python Testing/Slicer/make_screenshots.py [denoise …]
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "MedDiffFM"), str(ROOT), str(ROOT / "Testing" / "Slicer")]

import harness  # noqa: E402

slicer = harness.start()
PATIENCE = 1800


def scan(name: str, title: str, window: float, level: float):
    """A whole sample in the slice views."""
    for view in ("Red", "Yellow", "Green"):
        slicer.app.layoutManager().sliceWidget(view)
    node = slicer.util.loadVolume(str(ROOT / "Testing" / "Data" / name), {"name": title})
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(window, level)
    slicer.util.setSliceViewerLayers(background=node)
    slicer.app.layoutManager().resetSliceViews()
    return node


def run(panel):
    harness.wait_until(lambda: panel.ui.estimateLabel.text.count("A run takes"), PATIENCE)
    harness.click(panel.ui.runButton)
    harness.wait_until(lambda: panel.ui.statusLabel.text.startswith("Step"), PATIENCE)


def denoise(folder: Path):
    """Before, during and after a run."""
    scan("chest_ts_aorta.nii.gz", "Chest CT", 450, 50)
    panel = harness.open_module(ROOT / "MedDiffFM" / "MedDiffFMDenoise" / "MedDiffFMDenoise.py")
    panel.ui.qualityBox.setCurrentIndex(panel.ui.qualityBox.findData("fast"))
    run(panel)
    harness.wait_until(lambda: panel.ui.progressBar.value > 300 or not panel.logic.busy, PATIENCE)
    harness.screenshot(panel, folder / "panel-denoise-running.png")
    harness.wait_until(lambda: not panel.logic.busy, PATIENCE)
    harness.screenshot(panel, folder / "panel-denoise.png")
    panel.ui.advancedSection.collapsed = False
    panel.ui.inputSection.collapsed = True
    harness.screenshot(panel, folder / "panel-denoise-advanced.png")
    harness.close_module(panel)


if __name__ == "__main__":
    pictures = {"denoise": denoise}
    for name in sys.argv[1:] or pictures:
        slicer.mrmlScene.Clear(False)
        pictures[name](ROOT / "Docs" / "Screenshots")
