"""Pictures of the panels for the documentation, on the repository's real CT: Docs/Screenshots/panel-*.png.

python Testing/Slicer/make_screenshots.py [denoise super-resolve synthesize …]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "MedDiffFM"), str(ROOT), str(ROOT / "Testing" / "Slicer")]

import harness  # noqa: E402

slicer = harness.start()
from MedDiffFMPanels import exchange  # noqa: E402

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


def thick_slices(thin, factor: int):
    """The means of every `factor` axial slices in the slice views, at the same place."""
    voxels, matrix = slicer.util.arrayFromVolume(thin), exchange.ijkToRAS(thin)
    means = voxels[: len(voxels) // factor * factor].reshape(-1, factor, *voxels.shape[1:]).mean(1).round()
    matrix[:, 3] = matrix @ [0, 0, (factor - 1) / 2, 1]
    matrix[:3, 2] *= factor
    node = slicer.util.addVolumeFromArray(means.astype("int16"), ijkToRAS=matrix, name=f"{thin.GetName()}, thick")
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(thin.GetDisplayNode().GetWindow(), thin.GetDisplayNode().GetLevel())
    slicer.mrmlScene.RemoveNode(thin)
    slicer.util.setSliceViewerLayers(background=node)
    return node


def super_resolve(folder: Path):
    """Thick slices on the left, the thin ones made of them on the right, seen from the front."""
    thick_slices(scan("chest_ts_aorta.nii.gz", "Chest CT", 1500, -400), 3)
    panel = harness.open_module(ROOT / "MedDiffFM" / "MedDiffFMSuperResolve" / "MedDiffFMSuperResolve.py")
    panel.ui.spacingBox.value = 1.5
    run(panel)
    harness.wait_until(lambda: not panel.logic.busy, PATIENCE)
    slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode().SetOrientation("Coronal")
    panel.ui.sideButton.click()
    side_by_side = {"Red": (0, 0), "Yellow": (0, 1)}
    harness.screenshot(panel, folder / "panel-super-resolve.png", size=(1300, 800), views=side_by_side)
    harness.close_module(panel)


def organs(name: str, title: str):
    """A sample's label map as a segmentation with the organs' names, in the slice views and in 3D."""
    labels = slicer.util.loadLabelVolume(str(ROOT / "Testing" / "Data" / f"{name}_seg.nii.gz"), {"show": False})
    names = json.loads((ROOT / "Testing" / "Data" / "labels.json").read_text(encoding="utf-8"))[name]
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", title)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(labels)
    slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labels, node)
    segmentation, present = (
        node.GetSegmentation(),
        sorted({*slicer.util.arrayFromVolume(labels).ravel().tolist()} - {0}),
    )
    for key, number in zip(segmentation.GetSegmentIDs(), present, strict=True):
        segmentation.GetSegment(key).SetName(names[str(number)])
    slicer.mrmlScene.RemoveNode(labels)
    node.CreateClosedSurfaceRepresentation()
    return node


def synthesize(folder: Path):
    """Two CTs of the same organs to choose from; the organs over the chosen one, and in 3D."""
    for view in ("Red", "Yellow", "Green"):
        slicer.app.layoutManager().sliceWidget(view)
    slicer.app.layoutManager().threeDWidget(0)
    organs("abd_ts_example", "Abdomen organs")
    panel = harness.open_module(ROOT / "MedDiffFM" / "MedDiffFMSynthesize" / "MedDiffFMSynthesize.py")
    panel.ui.samplesSpin.value = 2
    run(panel)
    harness.wait_until(lambda: not panel.logic.busy, PATIENCE)
    panel.ui.inputViewButton.click()
    node = slicer.app.layoutManager().threeDWidget(0).mrmlViewNode()
    node.SetBoxVisible(False)
    node.SetAxisLabelsVisible(False)
    slicer.app.layoutManager().resetThreeDViews()
    harness.screenshot(panel, folder / "panel-synthesize.png")
    harness.close_module(panel)


def detect_anomalies(folder: Path):
    """The liver of the abdomen: the map over the CT, and the first finding."""
    scan("abd_ts_example.nii.gz", "Abdomen CT", 350, 50)
    anatomy = organs("abd_ts_example", "Organs")
    anatomy.GetDisplayNode().SetVisibility(False)
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
    pictures = {
        "denoise": denoise,
        "super-resolve": super_resolve,
        "synthesize": synthesize,
        "detect-anomalies": detect_anomalies,
    }
    for name in sys.argv[1:] or pictures:
        slicer.mrmlScene.Clear(False)
        pictures[name](ROOT / "Docs" / "Screenshots")
