"""The uncertainty in the Denoise and Super-Resolve panels: a second volume, in color over the result, with a legend."""

from __future__ import annotations

import json

import numpy as np
import pytest
from panel_run import choose, end, run
from panels import add_chest, names_in_scene
from patience import PATIENCE
from test_every_panel import load_scene
from tiny_model import save_full_tiny_model

pytest.importorskip("slicer")
import warm_worker
from harness import click, wait_until

VIEWS = ("Red", "Yellow", "Green")
SETTINGS = {
    "denoise": {"balanced": {"steps": 1, "nlm_share": 0.5, "mirrored": 4}},
    "super-resolve": {"balanced": {"mirrored": 1, "refiner_mirrored": 2}},
}


@pytest.fixture(scope="module")
def refined_folder(tmp_path_factory):
    """A user's folder with a tiny model that has both refiners, of random weights."""
    home = tmp_path_factory.mktemp("refined")
    model = save_full_tiny_model(home / "models" / "tiny", patch=32)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"tasks": SETTINGS}))
    return home


@pytest.fixture
def refined_home(slicer, refined_folder, monkeypatch):
    with warm_worker.at_home(refined_folder, slicer, monkeypatch) as path:
        yield path


@pytest.fixture
def chest(slicer):
    for view in VIEWS:
        slicer.app.layoutManager().sliceWidget(view)
    return add_chest(z=slice(50, 62), y=slice(20, 60), x=slice(20, 60))


@pytest.fixture
def panel(chest, refined_home, open_panel):
    widget = open_panel("MedDiffFMDenoise")
    choose(widget.ui.modelBox, "tiny")
    choose(widget.ui.regionBox, "chest")
    yield widget
    end(widget)


def voxels(node):
    import slicer

    return slicer.util.arrayFromVolume(node).copy()


def record_of(node):
    return json.loads(node.GetAttribute("MedDiffFM.provenance"))


def foregrounds(slicer):
    composites = [slicer.app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode() for name in VIEWS]
    nodes = [slicer.mrmlScene.GetNodeByID(one.GetForegroundVolumeID() or "") for one in composites]
    return [node.GetName() if node else None for node in nodes]


def picture(slicer):
    return slicer.app.layoutManager().sliceWidget("Red").grab().copy()


def run_with_uncertainty(panel):
    click(panel.ui.uncertaintyBox)
    assert panel.ui.uncertaintyBox.checked
    run(panel)
    assert panel.ui.messageFrame.isHidden(), panel.ui.messageLabel.text


def test_a_second_volume_in_color_over_the_result(slicer, chest, panel):
    """Its voxels are what the command line would write, its table goes from nothing to 99 % of them, in HU."""
    ui = panel.ui
    assert ui.uncertaintyBox.enabled and ui.uncertaintyButton.isHidden()
    run_with_uncertainty(panel)
    result, spread = (slicer.util.getNode(f"Chest denoised{more}") for more in ("", " uncertainty"))
    assert names_in_scene() == [
        "Chest",
        "Chest denoised",
        "Chest denoised full strength",
        "Chest denoised uncertainty",
        "Chest denoised uncertainty full strength",
    ]
    full = voxels(slicer.util.getNode("Chest denoised uncertainty full strength"))
    assert full.dtype == np.float32 and full.max() > 1 and full.min() == 0
    assert np.array_equal(voxels(spread), full * np.float32(0.7))
    assert not full[voxels(result) == voxels(chest)].max() > full.max() / 2
    record = record_of(spread)
    assert record["output"] == "uncertainty" and record["facts"]["uncertainty"]["orientations"] == 4
    assert record["facts"]["strength_percent"] == 70 and spread.GetAttribute("MedDiffFM.source") == "Chest"
    display, top = spread.GetDisplayNode(), np.percentile(full[full > 0], 99)
    assert (display.GetWindow(), display.GetLevel()) == pytest.approx((max(top, 1), max(top, 1) / 2))
    table = display.GetColorNode()
    opacities = [table.GetLookupTable().GetTableValue(number)[3] for number in (0, 63, 64, 255)]
    assert opacities == [0, 0, 1, 1] and table.GetColorName(255) == f"{max(top, 1):.1f} HU"
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(spread)
    assert legend.GetTitleText() == "Uncertainty (HU)" and legend.GetVisibility()
    assert foregrounds(slicer) == ["Chest denoised uncertainty"] * 3
    assert ui.uncertaintyButton.isVisible() and ui.uncertaintyButton.checked
    median = 0.7 * record["facts"]["uncertainty"]["full_median_hu"]
    assert f"in 4 orientations differ by {median:.1f} HU (median;" in ui.resultLabel.text
    assert "no error bar" in ui.resultLabel.text
    assert panel.result.shown is result and ui.samplesBox.isHidden()
    slicer.app.layoutManager().resetSliceViews()
    colored = picture(slicer)
    legend.SetVisibility(False)
    assert (picture(slicer) != colored).any(), "the legend is not drawn"
    legend.SetVisibility(True)
    click(ui.uncertaintyButton)
    assert foregrounds(slicer) == [None] * 3
    gray = picture(slicer)
    share = [float((one[..., 0] == one[..., 2]).mean()) for one in (gray, colored)]
    assert share[0] > 0.999 and share[1] < 0.99, f"colors or legend: gray shares {share}"
    click(ui.uncertaintyButton)
    assert foregrounds(slicer) == ["Chest denoised uncertainty"] * 3


def test_it_follows_the_strength(slicer, chest, panel):
    run_with_uncertainty(panel)
    spread = slicer.util.getNode("Chest denoised uncertainty")
    full = voxels(slicer.util.getNode("Chest denoised uncertainty full strength"))
    for percent in (0, 35, 100):
        panel.ui.strengthSlider.value = percent
        wait_until(lambda percent=percent: record_of(spread)["facts"]["strength_percent"] == percent, PATIENCE)
        assert np.array_equal(voxels(spread), full * np.float32(percent / 100))
    assert record_of(spread)["output"] == "uncertainty"
    assert record_of(slicer.util.getNode("Chest denoised"))["output"] == "output"


def test_what_has_one_orientation_says_so(slicer, panel):
    ui = panel.ui
    click(ui.uncertaintyBox)
    for quality in ("fast", "paper"):
        choose(ui.qualityBox, quality)
        assert not ui.uncertaintyBox.enabled and ui.uncertaintyLabel.isVisible()
        assert "needs the quality Balanced: the others use one orientation" in ui.uncertaintyLabel.text
        assert "uncertainty" not in panel.parameters()
    choose(ui.qualityBox, "balanced")
    assert ui.uncertaintyBox.enabled and ui.uncertaintyLabel.isHidden()
    assert panel.parameters()["uncertainty"] == "true" and "uncertainty" not in panel.parameters(ofAnyInput=True)
    click(ui.copyButton)
    import qt

    assert "--uncertainty UNCERTAINTY.nii.gz" in qt.QApplication.clipboard().text()


def test_a_run_without_it_takes_the_colors_of_the_last_one_away(slicer, panel):
    run_with_uncertainty(panel)
    result = slicer.util.getNode("Chest denoised")
    click(panel.ui.uncertaintyBox)
    panel.ui.targetSelector.setCurrentNode(result)
    run(panel)
    assert foregrounds(slicer) == [None] * 3 and panel.ui.uncertaintyButton.isHidden()
    assert "no error bar" not in panel.ui.resultLabel.text
    spread, before = slicer.util.getNode("Chest denoised uncertainty"), None
    before = voxels(spread)
    panel.ui.strengthSlider.value = 20
    wait_until(lambda: record_of(result)["facts"]["strength_percent"] == 20, PATIENCE)
    assert np.array_equal(voxels(spread), before), "that of the run before follows no other result"


def test_it_is_saved_with_the_scene_and_gone_with_its_volume(slicer, panel, tmp_path):
    run_with_uncertainty(panel)
    full = voxels(slicer.util.getNode("Chest denoised uncertainty full strength"))
    assert slicer.util.saveScene(str(tmp_path / "case.mrb"))
    slicer.mrmlScene.Clear(False)
    load_scene(slicer, tmp_path / "case.mrb")
    spread = slicer.util.getNode("Chest denoised uncertainty")
    panel.ui.strengthSlider.value = 50
    wait_until(lambda: record_of(spread)["facts"]["strength_percent"] == 50, PATIENCE)
    assert np.array_equal(voxels(spread), full * np.float32(0.5))
    slicer.mrmlScene.RemoveNode(spread)
    panel.update()
    assert [name for name in names_in_scene() if "uncertainty" in name] == []
    assert panel.ui.uncertaintyButton.isHidden()


def test_a_script_gets_it_at_its_strength(slicer, chest, refined_home):
    from MedDiffFMPanels.failures import Failure
    from MedDiffFMPanels.scene.uncertainty import uncertaintyOf
    from MedDiffFMPanels.tasks.denoise import DenoiseLogic

    how = {"model": "tiny", "region": "chest", "uncertainty": True}
    full, half = (uncertaintyOf(DenoiseLogic().process(chest, **how, strength=s)) for s in ("full", 50))
    assert np.array_equal(voxels(half), voxels(full) * np.float32(0.5)) and voxels(full).max() > 1
    with pytest.raises(Failure, match="fast uses one orientation, so it has no spread"):
        DenoiseLogic().process(chest, **how, quality="fast")
    assert uncertaintyOf(DenoiseLogic().process(chest, **how | {"uncertainty": False})) is None


def test_super_resolve_has_it_on_the_thin_slices(slicer, chest, refined_home, open_panel):
    chest.SetSpacing(1.5, 1.5, 5.0)
    panel = open_panel("MedDiffFMSuperResolve")
    choose(panel.ui.modelBox, "tiny")
    choose(panel.ui.regionBox, "chest")
    panel.ui.spacingBox.value = 2.5
    wait_until(lambda: panel.ui.runButton.enabled, PATIENCE)
    run_with_uncertainty(panel)
    spread = slicer.util.getNode("Chest, 2.5 mm slices uncertainty")
    assert spread.GetImageData().GetDimensions()[2] == 24 and voxels(spread).max() > 0
    assert foregrounds(slicer) == ["Chest, 2.5 mm slices uncertainty"] * 3
    assert "in 2 orientations differ by" in panel.ui.resultLabel.text
    end(panel)


def test_a_scan_unlike_the_training_data_is_told(slicer, chest, panel):
    """After the run, with the volume's name in the scene; a scan like it is told nothing."""
    run(panel)
    assert "unlike anything" not in panel.ui.resultLabel.text
    chest.SetSpacing(1.5, 1.5, 9.0)
    run(panel)
    words = "“Chest” is unlike anything that the model was trained on, with a slice distance of 9 mm (in training"
    assert words in panel.ui.resultLabel.text
    assert any(words in sentence for sentence in record_of(slicer.util.getNode("Chest denoised_1"))["warnings"])
