"""The strength in the Denoise panel: a result follows the slider without a new run, and never a wrong input."""

from __future__ import annotations

import json

import pytest
from panel_run import choose, end, run
from panels import add_chest, names_in_scene
from patience import PATIENCE
from test_every_panel import load_scene

from MedDiffFMLib.tasks.strength import mix

pytest.importorskip("slicer")
from harness import click, wait_until


@pytest.fixture
def chest(slicer):
    for view in ("Red", "Yellow", "Green"):
        slicer.app.layoutManager().sliceWidget(view)
    return add_chest(z=slice(50, 66), y=slice(20, 68), x=slice(20, 68))


@pytest.fixture
def panel(chest, tiny_home, open_panel):
    widget = open_panel("MedDiffFMDenoise")
    choose(widget.ui.modelBox, "tiny")
    choose(widget.ui.qualityBox, "fast")
    choose(widget.ui.regionBox, "chest")
    yield widget
    end(widget)


def voxels(node):
    import slicer

    return slicer.util.arrayFromVolume(node).copy()


def record_of(node):
    return json.loads(node.GetAttribute("MedDiffFM.provenance"))


def full_of(slicer, name="Chest denoised full strength"):
    return slicer.util.getNode(name)


def wait_for(panel, node, percent):
    wait_until(lambda: record_of(node)["facts"]["strength_percent"] == percent, PATIENCE)


def levels(ui):
    return [button.checked for button in (ui.lightButton, ui.mediumButton, ui.fullButton)]


def test_a_result_follows_the_slider_and_the_buttons(slicer, chest, panel):
    """Every step is a mix of input and full result, whatever was chosen before, with its own noise and record; nothing
    is computed again.
    """
    ui, before = panel.ui, voxels(chest)
    assert ui.strengthSlider.value == 70 and levels(ui) == [False, True, False]
    assert "after the run too" in ui.strengthLabel.text
    run(panel)
    assert ui.messageFrame.isHidden(), ui.messageLabel.text
    result, full = slicer.util.getNode("Chest denoised"), voxels(full_of(slicer))
    medium, record = voxels(result), record_of(result)
    assert (medium == mix(before, full, 70)).all() and (medium != full).any() and (full != before).any()
    assert record["parameters"]["strength"] == record["facts"]["strength_percent"] == 70
    assert "is at 70 % and follows at once" in ui.strengthLabel.text
    noise = record["facts"]["noise_by_strength_hu"]
    assert record["facts"]["noise_after_hu"] == noise["70"] and f"→ {noise['70']:.0f} HU" in ui.resultLabel.text
    assert f"→ {noise['70']:.1f} HU" in record["summary"] and "strength 70 %" in record["summary"]
    assert "Grain" not in ui.resultLabel.text, "a corner of a chest has no even places"
    largest = max(record["facts"]["full_change_hu"].values(), key=abs)
    assert f"changed by {0.7 * largest:+.1f} at most" in ui.resultLabel.text

    click(ui.differenceButton)
    click(ui.fullButton)
    wait_for(panel, result, 100)
    assert (voxels(result) == full).all() and levels(ui) == [False, False, True] and ui.strengthSlider.value == 100
    assert record_of(result)["facts"]["noise_after_hu"] == noise["100"]
    assert f"→ {noise['100']:.0f} HU" in ui.resultLabel.text and "strength 100 %" in record_of(result)["summary"]
    assert f"changed by {largest:+.1f} at most" in ui.resultLabel.text
    assert (voxels(shown(slicer)) == full.astype(int) - before).all(), "the difference is that of another strength"
    ui.strengthSlider.value = 35
    wait_for(panel, result, 35)
    assert (voxels(result) == mix(before, full, 35)).all() and levels(ui) == [False] * 3
    assert noise["50"] <= record_of(result)["facts"]["noise_after_hu"] <= noise["0"]
    ui.strengthSlider.value = 0
    wait_for(panel, result, 0)
    assert (voxels(result) == before).all()
    click(ui.mediumButton)
    wait_for(panel, result, 70)
    assert (voxels(result) == medium).all() and (voxels(chest) == before).all()
    assert {**record_of(result), "summary": ""} == {**record, "summary": ""}
    click(ui.mediumButton)
    assert levels(ui) == [False, True, False]
    assert names_in_scene() == ["Chest", "Chest denoised", "Chest denoised full strength", "Difference"]


def shown(slicer):
    composite = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceCompositeNode()
    return slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID())


def test_what_was_chosen_before_or_during_a_run_counts(slicer, chest, panel):
    """The estimate's plan is used by the run, which asks for the same."""
    panel.ui.lightButton.click()
    run(panel)
    result, full = slicer.util.getNode("Chest denoised"), voxels(full_of(slicer))
    assert (voxels(result) == mix(voxels(chest), full, 50)).all()
    assert full_of(slicer).GetHideFromEditors() and full_of(slicer).GetSaveWithScene()
    assert panel.inputNode is chest and panel.parameters()["strength"] == "50"
    panel.ui.copyButton.click()
    import qt

    assert "--strength 50" in qt.QApplication.clipboard().text()
    click(panel.ui.runButton)
    panel.ui.strengthSlider.value = 90
    wait_until(lambda: not panel.logic.busy, PATIENCE)
    again = slicer.util.getNode("Chest denoised_1")
    assert (voxels(again) == mix(voxels(chest), full, 90)).all()
    assert record_of(again)["parameters"]["strength"] == 90


def test_as_published_is_told_to_be_full(panel):
    choose(panel.ui.qualityBox, "paper")
    assert "As published is Full" in panel.ui.strengthLabel.text
    click(panel.ui.fullButton)
    assert "As published" not in panel.ui.strengthLabel.text


def check_kept(panel, result, words):
    """The result keeps its strength, and a sentence says why."""
    ui, before = panel.ui, voxels(result)
    assert not ui.strengthSlider.enabled and not ui.fullButton.enabled, ui.strengthLabel.text
    assert words in ui.strengthLabel.text and "un again to choose another one" in ui.strengthLabel.text
    ui.strengthSlider.value = 20
    panel.task.strength.mixShown()
    assert (voxels(result) == before).all() and record_of(result)["facts"]["strength_percent"] != 20


@pytest.mark.parametrize("level", ["mediumButton", "fullButton"])
def test_an_edited_input_is_not_mixed_in(slicer, chest, panel, level):
    """At Full the result alone does not show whether the input is still the one of the run."""
    run(panel)
    result = slicer.util.getNode("Chest denoised")
    click(getattr(panel.ui, level))
    panel.task.strength.mixShown()
    slicer.util.arrayFromVolume(chest)[3, 4, 5] += 1
    slicer.util.arrayFromVolumeModified(chest)
    wait_until(lambda: not panel.ui.strengthSlider.enabled, PATIENCE)
    check_kept(panel, result, "“Chest” was changed after the run")
    slicer.util.arrayFromVolume(chest)[3, 4, 5] -= 1  # as by an undo
    slicer.util.arrayFromVolumeModified(chest)
    wait_until(lambda: panel.ui.strengthSlider.enabled, PATIENCE)


def test_a_deleted_input_and_an_edited_result(slicer, chest, panel):
    run(panel)
    result = slicer.util.getNode("Chest denoised")
    slicer.util.arrayFromVolume(result)[3, 4, 5] += 1
    slicer.util.arrayFromVolumeModified(result)
    panel.update()
    check_kept(panel, result, "it was edited, which another one would undo")
    slicer.util.arrayFromVolume(result)[3, 4, 5] -= 1
    slicer.util.arrayFromVolumeModified(result)
    panel.update()
    assert panel.ui.strengthSlider.enabled
    slicer.mrmlScene.RemoveNode(chest)
    check_kept(panel, result, "“Chest” was deleted")


def test_an_input_that_is_changed_during_the_run(slicer, chest, panel):
    """The full result alone is right then."""
    click(panel.ui.runButton)
    wait_until(lambda: panel.ui.statusLabel.text.startswith(("Step", "Looking")), PATIENCE)
    slicer.util.arrayFromVolume(chest)[...] = -slicer.util.arrayFromVolume(chest)
    slicer.util.arrayFromVolumeModified(chest)
    wait_until(lambda: not panel.logic.busy, PATIENCE)
    result = slicer.util.getNode("Chest denoised")
    assert (voxels(result) == voxels(full_of(slicer))).all() and record_of(result)["facts"]["strength_percent"] == 100
    check_kept(panel, result, "“Chest” was changed after the run")


def test_the_full_result_goes_with_its_mix(slicer, chest, panel):
    run(panel)
    slicer.mrmlScene.RemoveNode(slicer.util.getNode("Chest denoised"))
    slicer.app.processEvents()
    assert names_in_scene() == ["Chest"] and "after the run too" in panel.ui.strengthLabel.text


def test_a_second_run_into_the_same_volume(slicer, chest, panel):
    """The volume's own full result is replaced, not left beside it."""
    run(panel)
    result = slicer.util.getNode("Chest denoised")
    panel.ui.targetSelector.setCurrentNode(result)
    choose(panel.ui.sigmaBox, "own")
    panel.ui.sigmaSlider.value = 60
    run(panel)
    assert names_in_scene() == ["Chest", "Chest denoised", "Chest denoised full strength"]
    assert (voxels(result) == mix(voxels(chest), voxels(full_of(slicer)), 70)).all()
    assert record_of(result)["parameters"]["sigma"] == 60


def test_a_saved_scene_goes_on_being_mixed(slicer, chest, panel, tmp_path):
    """Loading mixes nothing; the slider then acts on the newest result of the chosen CT."""
    run(panel)
    click(panel.ui.lightButton)
    result, full, before = slicer.util.getNode("Chest denoised"), voxels(full_of(slicer)), voxels(chest)
    wait_for(panel, result, 50)
    light = voxels(result)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    assert panel.ui.strengthSlider.value == 70 and names_in_scene() == []
    load_scene(slicer, tmp_path / "scene.mrb")
    result = slicer.util.getNode("Chest denoised")
    assert panel.ui.strengthSlider.value == 50 and panel.ui.strengthSlider.enabled
    assert (voxels(result) == light).all() and record_of(result)["parameters"]["strength"] == 50
    assert "“Chest denoised” is at 50 %" in panel.ui.strengthLabel.text
    click(panel.ui.fullButton)
    wait_for(panel, result, 100)
    assert (voxels(result) == full).all()
    panel.ui.strengthSlider.value = 0
    wait_for(panel, result, 0)
    assert (voxels(result) == before).all()


@pytest.mark.parametrize("kind", ["float32", "float64", "int32"])
def test_other_types_of_voxels(slicer, chest, panel, kind):
    other = slicer.util.addVolumeFromArray(voxels(chest).astype(kind), name="Other")
    other.CopyOrientation(chest)
    panel.ui.inputSelector.setCurrentNode(other)
    run(panel)
    result = slicer.util.getNode("Other denoised")
    assert panel.ui.strengthSlider.enabled, panel.ui.strengthLabel.text
    click(panel.ui.lightButton)
    wait_for(panel, result, 50)
    full = voxels(full_of(slicer, "Other denoised full strength"))
    assert (voxels(result) == mix(voxels(other), full, 50)).all() and (full != voxels(other)).any()


def test_a_script_gets_one_volume_of_the_strength_it_names(slicer, chest, panel):
    from MedDiffFMPanels.tasks.denoise import DenoiseLogic

    settings = {"quality": "fast", "model": "tiny", "region": "chest"}
    full = voxels(DenoiseLogic().process(chest, **settings, strength="full"))
    result = DenoiseLogic().process(chest, **settings, strength=40)
    assert (voxels(result) == mix(voxels(chest), full, 40)).all()
    assert not [name for name in names_in_scene() if "full strength" in name]
