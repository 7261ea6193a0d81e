"""Pictures of the panels for the documentation, on the repository's real CT: Docs/Screenshots/panel-*.png.

python Testing/Slicer/make_screenshots.py [denoise …]
"""

from __future__ import annotations

import json
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


def organs(name: str):
    """A sample's label map as a segmentation with the organs' names, not shown."""
    labels = slicer.util.loadLabelVolume(str(ROOT / "Testing" / "Data" / f"{name}_seg.nii.gz"))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
    slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labels, node)
    slicer.mrmlScene.RemoveNode(labels)
    names = json.loads((ROOT / "Testing" / "Data" / "labels.json").read_text(encoding="utf-8"))[name]
    for number in range(node.GetSegmentation().GetNumberOfSegments()):
        segment = node.GetSegmentation().GetNthSegment(number)
        segment.SetName(names[str(segment.GetLabelValue())])
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetVisibility(False)
    return node


def choose(combo, key: str):
    combo.setCurrentIndex(combo.findData(key))


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


def detect_anomalies(folder: Path):
    """The liver of the abdomen: the map over the CT, and the first finding."""
    scan("abd_ts_example.nii.gz", "Abdomen CT", 350, 50)
    anatomy = organs("abd_ts_example")
    panel = harness.open_module(ROOT / "MedDiffFM" / "MedDiffFMDetectAnomalies" / "MedDiffFMDetectAnomalies.py")
    choose(panel.ui.anatomyBox, "segmentation")
    panel.ui.anatomySelector.setCurrentNode(anatomy)
    choose(panel.ui.organBox, "liver")
    run(panel)
    harness.wait_until(lambda: not panel.logic.busy and panel.task.findings.findings, PATIENCE)
    panel.ui.minVolumeBox.value = 0.5
    panel.ui.findingsTable.setCurrentCell(1, 0)
    harness.screenshot(panel, folder / "panel-detect-anomalies.png")
    harness.close_module(panel)


if __name__ == "__main__":
    pictures = {"denoise": denoise, "detect-anomalies": detect_anomalies}
    for name in sys.argv[1:] or pictures:
        slicer.mrmlScene.Clear(False)
        pictures[name](ROOT / "Docs" / "Screenshots")
