"""Pictures of the panels for the documentation, on the repository's real CT: Docs/Screenshots/panel-*.png, as on a
laptop of 1366 × 768, in Slicer's light style and in its dark one (panel-*-dark.png).

python Testing/Slicer/make_screenshots.py [denoise super-resolve synthesize …]
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "MedDiffFM"), str(ROOT), str(ROOT / "Testing" / "Slicer")]

import harness  # noqa: E402
from harness.pictures import settle_layout  # noqa: E402

slicer = harness.start()
from picture_colors import with_few_colors  # noqa: E402
from picture_data import organs, plant_ball, scan, thick_slices, tissue  # noqa: E402

from MedDiffFMPanels.scene import exchange  # noqa: E402
from MedDiffFMPanels.sections.estimate import estimateText  # noqa: E402

PATIENCE = 1800
PLACE_IN_LUNG = (95, 55, 116)  # voxel (i, j, k) of the chest CT


def choose(combo, key: str):
    combo.setCurrentIndex(combo.findData(key))


def take(panel, path: Path, **options):
    """The picture in both styles. Colored words are made anew, as they are when a panel is opened in that style."""
    harness.screenshot(panel, path, **options)
    with harness.slicer_style("dark"):
        renew_words(panel)
        harness.screenshot(panel, path.with_stem(f"{path.stem}-dark"), **options)
    renew_words(panel)


def renew_words(panel):
    findings = getattr(panel.task, "findings", None)
    if findings and findings.findings:
        findings._shownRule = None
        findings.update()
        harness.wait_until(lambda: findings._generator is None, PATIENCE)
        panel.ui.findingsTable.setCurrentCell(0, 0)
    if panel.estimate._facts:
        panel.run.showEstimate(estimateText(panel.estimate._facts))
    panel.update()
    slicer.app.processEvents()


def run(panel):
    harness.wait_until(lambda: panel.ui.estimateLabel.text.count("A run takes"), PATIENCE)
    harness.click(panel.ui.runButton)
    harness.wait_until(lambda: panel.ui.statusLabel.text.startswith("Step"), PATIENCE)


def denoise(folder: Path):
    """During a run, and after it: input and result side by side."""
    scan("chest_ts_aorta.nii.gz", "Chest CT", 800, 100)  # its heart holds contrast agent
    panel = harness.open_module(ROOT / "MedDiffFM" / "MedDiffFMDenoise" / "MedDiffFMDenoise.py")
    panel.ui.qualityBox.setCurrentIndex(panel.ui.qualityBox.findData("fast"))
    run(panel)
    harness.wait_until(lambda: panel.ui.progressBar.value > 300 or not panel.logic.busy, PATIENCE)
    harness.screenshot(panel, folder / "panel-denoise-running.png", views={"Red": (0, 0), "Green": (0, 1)})
    harness.wait_until(lambda: not panel.logic.busy, PATIENCE)
    panel.ui.sideButton.click()
    take(panel, folder / "panel-denoise.png", views={"Red": (0, 0), "Yellow": (0, 1)})
    panel.ui.advancedSection.collapsed = False
    panel.ui.inputSection.collapsed = True
    panel.ui.taskSection.collapsed = True
    settle_layout()
    panel.parent.window().grab().save(str(folder / "panel-denoise-advanced.png"))
    harness.close_module(panel)


def uncertainty(folder: Path):
    """The uncertainty of some slices in color, over the scan and over the result."""
    node = scan("chest_ts_aorta.nii.gz", "Chest CT", 800, 100)
    slicer.util.updateVolumeFromArray(node, slicer.util.arrayFromVolume(node)[60:76].copy())
    slicer.app.layoutManager().resetSliceViews()
    panel = harness.open_module(ROOT / "MedDiffFM" / "MedDiffFMDenoise" / "MedDiffFMDenoise.py")
    panel.ui.uncertaintyBox.checked = True
    run(panel)
    harness.wait_until(lambda: not panel.logic.busy, PATIENCE)
    panel.ui.sideButton.click()
    take(panel, folder / "panel-uncertainty.png", views={"Red": (0, 0), "Yellow": (0, 1)})
    harness.close_module(panel)


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
    take(panel, folder / "panel-super-resolve.png", views=side_by_side)
    harness.close_module(panel)


def synthesize(folder: Path):
    """Two CTs of the same organs to choose from: one of them alone in the slices, the organs in 3D."""
    for view in ("Red", "Yellow", "Green"):
        slicer.app.layoutManager().sliceWidget(view)
    slicer.app.layoutManager().threeDWidget(0)
    organs("abd_ts_example", "Abdomen organs")
    panel = harness.open_module(ROOT / "MedDiffFM" / "MedDiffFMSynthesize" / "MedDiffFMSynthesize.py")
    panel.ui.samplesSpin.value = 2
    run(panel)
    harness.wait_until(lambda: not panel.logic.busy, PATIENCE)
    clear_3d()
    take(panel, folder / "panel-synthesize.png")
    harness.close_module(panel)


def detect_anomalies(folder: Path):
    """A liver into which a ball of 30 mm was put, 60 HU darker: the map over the CT, and the finding."""
    plant_ball(scan("abd_ts_example.nii.gz", "Abdomen CT, with a planted ball", 350, 50), "abd_ts_example", 5)
    anatomy = organs("abd_ts_example", "Organs")
    anatomy.GetDisplayNode().SetVisibility(False)
    panel = harness.open_module(ROOT / "MedDiffFM" / "MedDiffFMDetectAnomalies" / "MedDiffFMDetectAnomalies.py")
    choose(panel.ui.anatomyBox, "segmentation")
    panel.ui.anatomySelector.setCurrentNode(anatomy)
    choose(panel.ui.organBox, "liver")
    run(panel)
    harness.wait_until(lambda: not panel.logic.busy and panel.task.findings.findings, PATIENCE)
    panel.ui.minVolumeBox.value = 0.5
    panel.ui.findingsTable.setCurrentCell(0, 0)
    harness.wait_until(lambda: "A run takes" in panel.ui.estimateLabel.text, PATIENCE)
    panel.ui.inputSection.collapsed = True  # the table of findings is what one looks at
    take(panel, folder / "panel-detect-anomalies.png", views={"Red": (0, 0), "Green": (0, 1)})
    harness.close_module(panel)


def inpaint_lesion(folder: Path):
    """An ellipsoid in the left lung; two versions of a nodule there to choose from: the CT beside the second one, that
    from the front, and what was drawn in 3D.
    """
    ct = scan("chest_ts_aorta.nii.gz", "Chest CT", 1400, -300)
    panel = harness.open_module(ROOT / "MedDiffFM" / "MedDiffFMInpaintLesion" / "MedDiffFMInpaintLesion.py")
    place = place_lesion(panel, ct, PLACE_IN_LUNG, 22)
    panel.ui.samplesSpin.value = 2
    panel.task.lesion.CreateClosedSurfaceRepresentation()
    panel.ui.stepsBox.value = 8
    run(panel)
    harness.wait_until(lambda: not panel.logic.busy, PATIENCE)
    panel.ui.nextButton.click()
    zoom_to(place, 130)
    panel.ui.sideButton.click()
    panel.ui.outlineButton.click()  # the rim is what one looks at
    clear_3d()
    views = {"Red": (0, 0), "Yellow": (0, 1), "Green": (1, 0), "3D": (1, 1)}
    take(panel, folder / "panel-inpaint-lesion.png", views=views)
    harness.close_module(panel)


def generate_lesion(folder: Path):
    """A nodule in the left lung of a CT made of a chest's lungs, bones and body."""
    node = tissue(scan("chest_ts_aorta.nii.gz", "Chest CT", 1400, -300))
    node.GetDisplayNode().SetOpacity2DFill(0.25)
    slicer.app.layoutManager().threeDWidget(0)
    panel = harness.open_module(ROOT / "MedDiffFM" / "MedDiffFMGenerateLesion" / "MedDiffFMGenerateLesion.py")
    choose(panel.ui.qualityBox, "fast")
    slicer.util.setSliceViewerLayers(background=panel.ui.editor.sourceVolumeNode(), fit=True)
    place = place_lesion(panel, exchange.gridOf(node), PLACE_IN_LUNG, 22)
    panel.task.lesion.CreateClosedSurfaceRepresentation()
    run(panel)
    harness.wait_until(lambda: not panel.logic.busy, PATIENCE)
    jump_to(place)
    clear_3d()
    take(panel, folder / "panel-generate-lesion.png")
    harness.close_module(panel)


def batch(folder: Path):
    """A folder of two crops of the sample CTs and a file that breaks off: done, and what became of each."""
    panel = harness.open_module(ROOT / "MedDiffFM" / "MedDiffFMDenoise" / "MedDiffFMDenoise.py")
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "scans"
        source.mkdir()
        for name, title in (("chest_ts_aorta", "scan-1"), ("abd_ts_example", "scan-2")):
            node = slicer.util.loadVolume(str(ROOT / "Testing" / "Data" / f"{name}.nii.gz"), {"show": False})
            slicer.util.updateVolumeFromArray(node, slicer.util.arrayFromVolume(node)[20:40].copy())
            slicer.util.saveNode(node, str(source / f"{title}.nii.gz"))
            slicer.mrmlScene.RemoveNode(node)
        (source / "scan-3.nrrd").write_bytes(b"NRRD0004\ntype: short\n")
        choose(panel.ui.qualityBox, "fast")
        panel.ui.batchInputEdit.text, panel.ui.batchOutputEdit.text = str(source), str(Path(scratch) / "denoised")
        panel.ui.batchSection.collapsed = False
        slicer.app.processEvents()
        harness.click(panel.ui.batchRunButton)
        harness.wait_until(lambda: not panel.batch.running, PATIENCE)
        assert panel.ui.batchStatusLabel.text == "2 of 3 done, 1 failed.", panel.ui.batchStatusLabel.text
        rows, said = panel.batch._rows, panel.ui.batchStatusLabel.text
        panel.ui.batchInputEdit.text, panel.ui.batchOutputEdit.text = "/data/scans", "/data/denoised"
        panel.batch._show(rows)
        panel.ui.batchStatusLabel.text = said
        panel.ui.batchReasonLabel.visible = False  # those folders are not here
        panel.ui.batchRunButton.enabled = panel.ui.batchOpenButton.enabled = True
        panel.ui.inputSection.collapsed = panel.ui.resultSection.collapsed = True
        panel.parent.window().resize(harness.SIZE_ON_A_LAPTOP)
        slicer.app.processEvents()
        panel.parent.window().grab().save(str(folder / "panel-batch.png"))
    harness.close_module(panel)


def models(folder: Path):
    """The models dialog with the bundled model, verified."""
    from MedDiffFMPanels.dialogs.models import ModelsDialog

    with tempfile.TemporaryDirectory() as home:
        os.environ["MEDDIFF_FM_HOME"] = home
        dialog = ModelsDialog()
        dialog.widget.show()
        dialog.ui.modelTable.setCurrentCell(0, 0)
        slicer.app.processEvents()
        harness.click(dialog.ui.verifyButton)
        harness.wait_until(lambda: not dialog.busy, PATIENCE)
        dialog.ui.whereLabel.text = dialog.ui.whereLabel.text.replace(home, "/home/me/.local/share/meddiff-fm")
        slicer.app.processEvents()
        dialog.widget.grab().save(str(folder / "dialog-models.png"))
        del os.environ["MEDDIFF_FM_HOME"]


def place_lesion(panel, grid, index, diameter: float):
    """Click an ellipsoid into the axial view about the voxel `index` (i, j, k); returns the place in mm."""
    place = tuple((exchange.ijkToRAS(grid) @ [*index, 1])[:3])
    jump_to(place)
    panel.ui.diameterBox.value = diameter
    harness.click(panel.ui.placeButton)
    harness.click_in_slice("Red", place)
    harness.wait_until(lambda: panel.ui.runButton.enabled, PATIENCE)
    return place


def jump_to(place):
    for view in ("Red", "Yellow", "Green"):
        slicer.app.layoutManager().sliceWidget(view).mrmlSliceNode().JumpSliceByOffsetting(*place)


def zoom_to(place, millimeters):
    """The slice views about a place, so wide."""
    for view in ("Red", "Yellow", "Green"):
        node = slicer.app.layoutManager().sliceWidget(view).mrmlSliceNode()
        node.JumpSliceByCentering(*place)
        width, height, depth = node.GetFieldOfView()
        node.SetFieldOfView(millimeters, millimeters * height / width, depth)


def clear_3d():
    """The 3D view about what is in it, without box and letters."""
    node = slicer.app.layoutManager().threeDWidget(0).mrmlViewNode()
    node.SetBoxVisible(False)
    node.SetAxisLabelsVisible(False)
    slicer.app.layoutManager().resetThreeDViews()


if __name__ == "__main__":
    pictures = {
        "denoise": denoise,
        "uncertainty": uncertainty,
        "super-resolve": super_resolve,
        "synthesize": synthesize,
        "detect-anomalies": detect_anomalies,
        "generate-lesion": generate_lesion,
        "inpaint-lesion": inpaint_lesion,
        "batch": batch,
        "models": models,
    }
    for name in sys.argv[1:] or pictures:
        slicer.mrmlScene.Clear(False)
        for view, orientation in (("Red", "Axial"), ("Yellow", "Sagittal"), ("Green", "Coronal")):
            slicer.app.layoutManager().sliceWidget(view).mrmlSliceNode().SetOrientation(orientation)
        with harness.slicer_style("light"):
            pictures[name](ROOT / "Docs" / "Screenshots")
        for path in (ROOT / "Docs" / "Screenshots").glob(f"panel-{name}*.png"):
            with_few_colors(path)
