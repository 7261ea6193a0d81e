"""The Super-Resolve panel with the real worker and the bundled model, on thick slices made of a real CT's thin ones."""

from __future__ import annotations

import json

import numpy as np
import pytest
from panel_run import choose, end, run
from panels import add_chest, to_ras
from patience import PATIENCE

pytest.importorskip("slicer")
from harness import click, wait_until

FACTOR = 4


def add_thick(thin, name="Thick"):
    """The means of every 4 slices, 6 mm apart, where the thin ones lie."""
    import slicer

    voxels = slicer.util.arrayFromVolume(thin)
    means = voxels.reshape(-1, FACTOR, *voxels.shape[1:]).mean(1).round().astype(np.int16)
    matrix = to_ras(thin)
    matrix[:, 3] = matrix @ [0, 0, (FACTOR - 1) / 2, 1]
    matrix[:3, 2] *= FACTOR
    return slicer.util.addVolumeFromArray(means, ijkToRAS=matrix, name=name)


@pytest.fixture
def thin(slicer):
    for view in ("Red", "Yellow", "Green"):
        slicer.app.layoutManager().sliceWidget(view)
    return add_chest("Thin", x=slice(30, 62), y=slice(30, 62))


@pytest.fixture
def thick(thin):
    return add_thick(thin)


@pytest.fixture
def panel(thick, bundled_home, open_panel):
    widget = open_panel("MedDiffFMSuperResolve")
    widget.ui.inputSelector.setCurrentNode(thick)
    yield widget
    end(widget)


def test_a_run_from_the_first_click_to_the_result(slicer, thin, thick, panel):
    """What it will be is said before; thin slices at the true ones' place, whose means are the thick ones, nearer to
    the true ones than the thick slices are; the same voxels again; what the difference shows.
    """
    ui = panel.ui
    assert ui.thickLabel.text == "8 axial slices, 6 mm apart"
    assert ui.thinLabel.text == "48 axial slices, 1 mm apart: each slice becomes 6" and ui.runButton.enabled
    ui.spacingBox.value = 1.5
    assert ui.thinLabel.text == "32 axial slices, 1.5 mm apart: each slice becomes 4"
    choose(ui.qualityBox, "fast")
    wait_until(lambda: "A run takes about" in ui.estimateLabel.text, PATIENCE)
    run(panel)

    assert ui.messageFrame.isHidden(), ui.messageLabel.text
    result = slicer.util.getNode("Thick, 1.5 mm slices")
    voxels = slicer.util.arrayFromVolume(result).copy()
    given, true = slicer.util.arrayFromVolume(thick), slicer.util.arrayFromVolume(thin).astype(float)
    assert voxels.shape == true.shape and np.allclose(to_ras(result), to_ras(thin), atol=1e-4)
    assert (voxels.reshape(-1, FACTOR, *true.shape[1:]).astype(int).sum(1) == FACTOR * given.astype(int)).all()
    repeated = given.repeat(FACTOR, 0)
    assert np.sqrt(np.mean((voxels - true) ** 2)) < 0.95 * np.sqrt(np.mean((repeated - true) ** 2))
    record = json.loads(result.GetAttribute("MedDiffFM.provenance"))
    assert record["parameters"]["spacing"] == 1.5 and record["facts"]["factor"] == FACTOR
    assert result.GetAttribute("MedDiffFM.synthetic") == "false"
    assert "6 mm → 1.5 mm: 8 slices became 32" in ui.resultLabel.text
    assert "The mean of every 4 new slices is the old slice (within 0 HU)" in ui.resultLabel.text

    click(ui.differenceButton)
    composite = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceCompositeNode()
    change = slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID())
    assert (slicer.util.arrayFromVolume(change) == voxels - repeated).all()
    assert np.allclose(to_ras(change), to_ras(result))

    run(panel)
    again = slicer.util.getNode("Thick, 1.5 mm slices_1")
    assert (slicer.util.arrayFromVolume(again) == voxels).all(), "the same seed gave other voxels"


def from_dicom(node, *texts, opened=True):
    """A volume as the DICOM module leaves it, and the thickness that the first and the last file state."""
    from harness.application import DicomDatabase, dicom

    node.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4 1.2.5")
    values = {(uid, "0018,0050"): text for uid, text in zip(("1.2.3", "1.2.5"), texts, strict=True)}
    dicom.database = DicomDatabase(values, opened)


@pytest.fixture
def no_dicom(slicer):
    from harness.application import dicom

    yield
    dicom.database = None


def test_the_thickness_comes_from_dicom_and_the_user_has_the_last_word(slicer, thick, panel, no_dicom):
    """It is shown, and goes into a run, but not into a batch, whose files have their own."""
    box = panel.ui.thicknessBox
    assert box.text == "Unknown: as they are apart" and "thickness" not in panel.parameters()
    from_dicom(thick, "7.5", " 7.5 ")
    panel.update()
    assert box.text == "7.5 mm, from DICOM" and panel.parameters()["thickness"] == "7.5"
    assert "thickness" not in panel.parameters(ofAnyInput=True)
    box.value = 5
    assert panel.parameters()["thickness"] == "5" == panel.parameters(ofAnyInput=True)["thickness"]
    choose(panel.ui.qualityBox, "paper")
    assert not panel.ui.runButton.enabled and "plain means, whatever their thickness" in panel.ui.runButton.toolTip
    box.value = 0
    assert panel.ui.runButton.enabled and "thickness" not in panel.parameters()
    choose(panel.ui.qualityBox, "fast")
    run(panel)
    result = slicer.util.getNode("Thick, 1 mm slices")
    facts = json.loads(result.GetAttribute("MedDiffFM.provenance"))["facts"]
    assert (facts["slice_thickness_mm"], facts["slice_thickness_from"], facts["slice_means"]) == (
        7.5,
        "option",
        "profile",
    )
    assert "weighted as in a slice 7.5 mm thick, is the old slice" in panel.ui.resultLabel.text


@pytest.mark.parametrize(
    ("texts", "opened"),
    [(("", ""), True), (("7.5", "6"), True), (("0", "0"), True), (("nan", "nan"), True), (("7.5", "7.5"), False)],
)
def test_a_thickness_that_dicom_does_not_tell(slicer, thick, panel, no_dicom, texts, opened):
    from_dicom(thick, *texts, opened=opened)
    panel.update()
    assert panel.ui.thicknessBox.text == "Unknown: as they are apart" and "thickness" not in panel.parameters()


def test_thin_slices_are_refused_with_a_reason(slicer, thin, panel):
    ui = panel.ui
    ui.inputSelector.setCurrentNode(thin)
    assert ui.thickLabel.text == "32 axial slices, 1.5 mm apart"
    ui.spacingBox.value = 1.5
    assert not ui.runButton.enabled and ui.thinLabel.text == ""
    assert "1.5 mm apart" in ui.runButton.toolTip and "Choose thinner slices" in ui.runButton.toolTip
    ui.spacingBox.value = 0.75
    assert ui.runButton.enabled and "64 axial slices, 0.75 mm apart" in ui.thinLabel.text


def test_thinner_than_any_scan_is_refused(slicer, panel):
    """0.5 mm slices, wanted 0.3 mm apart: halves of 0.25 mm come nearest."""
    fine = slicer.util.addVolumeFromArray(np.linspace(-1000, 1000, 512).reshape(8, 8, 8).astype(np.int16))
    fine.SetSpacing(0.4, 0.4, 0.5)
    panel.ui.inputSelector.setCurrentNode(fine)
    panel.ui.spacingBox.value = 0.3
    assert not panel.ui.runButton.enabled and "as thin as 0.25 mm" in panel.ui.runButton.toolTip


@pytest.mark.parametrize(
    ("spacing", "swap", "words"),
    [
        ((0.7, 0.7, 5), False, "8 axial slices, 5 mm apart"),
        ((3, 0.7, 0.7), False, "10 sagittal slices, 3 mm apart"),
        ((0.7, 0.7, 5), True, "8 coronal slices, 5 mm apart"),
    ],
)
def test_which_slices_are_thick(slicer, spacing, swap, words):
    """Of 10 × 9 × 8 voxels, whose third axis runs to superior, or to anterior (swap)."""
    from MedDiffFMPanels.tasks.super_resolve import slicesOf, slicesText

    node = slicer.util.addVolumeFromArray(np.zeros((8, 9, 10), np.int16))
    node.SetSpacing(*spacing)
    if swap:
        node.SetIJKToRASDirections(1, 0, 0, 0, 0, 1, 0, 1, 0)
    assert slicesText(*slicesOf(node)) == words


def test_the_modules_own_test(slicer, open_panel):
    end_of = open_panel("MedDiffFMSuperResolve")
    slicer.modules.MedDiffFMSuperResolveInstance.runTest()
    end(end_of)
