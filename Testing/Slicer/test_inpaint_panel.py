"""The Inpaint Lesion panel with the real worker on the repository's real chest CT; the model is a tiny one."""

from __future__ import annotations

import csv
import json
import zipfile

import numpy as np
import pytest
from lesion_run import mask_of, wait_for_button
from panel_run import choose, end, run
from panels import add_chest, to_ras
from patience import PATIENCE

pytest.importorskip("slicer")
import harness
from harness import click, click_in_slice, leave_module, paint_ball, wait_until


@pytest.fixture
def chest(slicer):
    node = add_chest()
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    slicer.app.layoutManager().resetSliceViews()
    return node


@pytest.fixture
def panel(chest, open_panel, tiny_home_with_controls):
    widget = open_panel("MedDiffFMInpaintLesion")
    choose(widget.ui.modelBox, "tiny")
    choose(widget.ui.anatomyBox, "none")
    choose(widget.ui.regionBox, "chest")
    yield widget
    end(widget)


def middle(node) -> np.ndarray:
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    return np.mean(np.reshape(bounds, (3, 2)), axis=1)


def background(view="Red"):
    import slicer

    return slicer.app.layoutManager().sliceWidget(view).sliceLogic().GetSliceCompositeNode().GetBackgroundVolumeID()


def draw(panel, chest, radius=6.0):
    """With the brush, in the middle."""
    paint_ball(panel.task.lesion, "Lesion", chest, middle(chest), radius)
    wait_for_button(panel)


def test_two_versions_from_the_first_stroke_to_the_choice(slicer, chest, panel):
    """Painted, estimated, run: two lesions that differ, not a voxel changed outside, seeds that give them again."""
    ui, before = panel.ui, slicer.util.arrayFromVolume(chest).copy()
    lesion = panel.task.lesion
    assert lesion.GetName() == "Chest lesion" and not ui.runButton.enabled
    assert "no lesion yet" in ui.runButton.toolTip and "Paint" in ui.runButton.toolTip
    segment = lesion.GetSegmentation().GetSegment("Lesion")
    assert (
        segment.GetName() == "Lesion"
        and "^Morphologically Altered Structure~SCT^4147007^Mass~" in segment.GetTerminology()
    )
    assert ui.editor.segmentationNode() is lesion and ui.editor.sourceVolumeNode() is chest
    assert [ui.kindBox.itemText(n) for n in range(ui.kindBox.count)] == ["Automatic", "Lung nodule"]
    ui.editor.setActiveEffectByName("Paint")
    assert ui.editor.mrmlSegmentEditorNode().GetAttribute("BrushSphere") == "1"
    draw(panel, chest)
    assert "Lesion drawn: 12 × 12 × 12 mm, 0.9" in ui.lesionLabel.text
    wait_until(lambda: "A run takes about" in ui.estimateLabel.text, PATIENCE)
    ui.samplesSpin.value = 2
    ui.seedBox.value = 4
    run(panel)

    assert ui.messageFrame.isHidden(), ui.messageLabel.text
    inside = mask_of(lesion, chest)
    nodes = [slicer.util.getNode(f"Chest with lesion, seed {seed}") for seed in (4, 5)]
    made = [slicer.util.arrayFromVolume(node).copy() for node in nodes]
    for node, voxels in zip(nodes, made, strict=True):
        assert voxels.dtype == before.dtype and np.allclose(to_ras(node), to_ras(chest))
        assert np.array_equal(voxels[~inside], before[~inside]), "a voxel outside the lesion was changed"
        assert np.mean(voxels[inside] != before[inside]) > 0.9
        assert node.GetAttribute("MedDiffFM.synthetic") == "true" and node.GetDisplayNode().GetWindow() == 700
        record = json.loads(node.GetAttribute("MedDiffFM.provenance"))
        assert record["facts"]["kind"] == "lung" and record["facts"]["seeds"] == [4, 5]
        assert record["facts"]["lesion_ml"] == pytest.approx(inside.sum() * 1.5**3 / 1000, abs=1e-3)
    assert np.mean(made[0][inside] != made[1][inside]) > 0.5
    assert np.array_equal(slicer.util.arrayFromVolume(chest), before), "the input was changed"
    assert "2 versions: Lung nodule of 0.9" in ui.resultLabel.text and "synthetic" in ui.resultLabel.text
    look_at_both(panel, nodes)

    ui.samplesSpin.value, ui.seedBox.value = 1, 5
    run(panel)
    again = slicer.util.getNode("Chest with lesion, seed 5_1")
    assert np.array_equal(slicer.util.arrayFromVolume(again), made[1]), "a seed gave another lesion"
    assert ui.nextButton.isHidden()


def look_at_both(panel, nodes):
    ui = panel.ui
    assert background() == nodes[0].GetID()
    click(ui.nextButton)
    assert background() == nodes[1].GetID() and ui.samplesBox.currentText == nodes[1].GetName()
    click(ui.nextButton)
    assert background() == nodes[0].GetID()
    click(ui.previousButton)
    assert background() == nodes[1].GetID()
    click(ui.inputViewButton)
    assert background() == panel.inputNode.GetID()


def test_an_ellipsoid_is_placed_by_one_click(slicer, chest, panel):
    """About the click, no longer than was said, on the CT's voxels; one click and the mouse is free again."""
    ui, lesion, center = panel.ui, panel.task.lesion, middle(chest)
    ui.diameterBox.value = 20
    ui.editor.setActiveEffectByName("Paint")
    click(ui.placeButton)
    assert ui.placeButton.checked and ui.editor.activeEffect() is None
    before = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode")
    center[2] = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceOffset()
    click_in_slice("Red", tuple(center))
    wait_for_button(panel)
    assert not ui.placeButton.checked and slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == before - 1
    k, j, i = np.nonzero(mask_of(lesion, chest))
    ras = (to_ras(chest) @ np.stack([i, j, k, np.ones_like(i)]))[:3]
    assert np.abs(ras.mean(axis=1) - center).max() < 1.0
    away = np.linalg.norm(ras - center[:, None], axis=0)
    ball = 4 / 3 * np.pi * 10**3 / 1.5**3
    assert 8.5 < away.max() <= 10.7 and 0.45 * ball < away.size < 1.02 * ball
    click(ui.placeButton)
    click(ui.placeButton)  # changed one's mind
    assert not ui.placeButton.checked
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform


def test_why_run_is_disabled(slicer, chest, panel):
    """A reason and a way on for each; what only the worker sees is said before the run too."""
    ui, lesion = panel.ui, panel.task.lesion

    def refused(*words):
        panel.update()
        return not ui.runButton.enabled and all(word in ui.runButton.toolTip for word in words)

    draw(panel, chest)
    panel.bindings.node.SetParameter("kind", "liver")
    assert refused("no ControlNet for lesions of the kind “Liver lesion”", "Choose another kind")
    panel.bindings.node.SetParameter("kind", "auto")
    low = [0.0] * 6
    chest.GetRASBounds(low)
    paint_ball(lesion, "Lesion", chest, (low[0], low[2], low[4]), 5.0)
    assert refused("touches the border", "Erase it at the border")
    click(ui.newLesionButton)
    assert refused("no lesion yet") and panel.task.lesion is not lesion

    other = add_chest("Other", z=slice(51, 83))
    matrix = to_ras(other)
    matrix[2, 3] += 0.7
    other.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    ui.inputSelector.setCurrentNode(other)
    assert panel.task.lesion.GetName() == "Other lesion" and refused("no lesion yet")
    mine = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    mine.SetReferenceImageGeometryParameterFromVolumeNode(chest)
    mine.GetSegmentation().AddEmptySegment("Lesion", "Lesion")
    paint_ball(mine, "Lesion", chest, middle(chest), 6.0)
    ui.lesionSelector.setCurrentNode(mine)
    assert refused("“Mine” was drawn on an image with other voxels", "Click “New”")
    ui.inputSelector.setCurrentNode(chest)
    assert panel.task.lesion is mine and ui.runButton.enabled
    mine.GetSegmentation().AddEmptySegment("More", "More")
    assert refused("“Mine” has several segments")


def test_a_lesion_outside_the_body_is_refused_before_the_run(slicer, chest, panel):
    voxels = slicer.util.arrayFromVolume(chest)
    voxels[:, :, :40] = -1000
    slicer.util.arrayFromVolumeModified(chest)
    j, k = 32, 16
    place = (to_ras(chest) @ [20, j, k, 1])[:3]
    paint_ball(panel.task.lesion, "Lesion", chest, place, 5.0)
    wait_until(lambda: "outside the body" in panel.ui.estimateLabel.text, PATIENCE)
    assert "“Chest lesion” lies wholly outside the body: move the lesion" in panel.ui.estimateLabel.text
    run(panel)
    assert "“Chest lesion” lies wholly outside the body" in panel.ui.messageLabel.text


def test_a_model_without_lesions_is_refused(chest, tiny_home, open_panel):
    panel = open_panel("MedDiffFMInpaintLesion")
    choose(panel.ui.modelBox, "tiny")
    draw_words = "This model cannot draw lesions"
    paint_ball(panel.task.lesion, "Lesion", chest, middle(chest), 6.0)
    wait_until(lambda: draw_words in panel.ui.runButton.toolTip)
    assert not panel.ui.runButton.enabled and "Choose another model" in panel.ui.runButton.toolTip
    end(panel)


def test_a_training_pair_is_ready_for_train_prepare(slicer, chest, panel, tmp_path):
    """Read by the training's own reader of manifests; no name of a node in it; a changed lesion is no pair."""
    draw(panel, chest)
    run(panel)
    result = slicer.util.getNode("Chest with lesion, seed 0")
    folder = tmp_path / "pairs"
    folder.mkdir()
    for _ in range(2):
        save(panel, folder)
    rows = list(csv.DictReader((folder / "manifest.csv").open(encoding="utf-8")))
    assert [row["path"] for row in rows] == ["lesion-0001_ct.nrrd", "lesion-0002_ct.nrrd"]
    assert {row["region"] for row in rows} == {"chest"} and len({row["patient"] for row in rows}) == 1
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [f"lesion-000{n}{end}" for n in (1, 2) for end in ("_ct.nrrd", "_mask.nrrd", ".json")] + ["manifest.csv"]
    )
    ct = slicer.util.loadVolume(str(folder / rows[0]["path"]))
    mask = slicer.util.loadLabelVolume(str(folder / rows[0]["lesion"]))
    assert np.array_equal(slicer.util.arrayFromVolume(ct), slicer.util.arrayFromVolume(result))
    assert np.array_equal(slicer.util.arrayFromVolume(mask) > 0, mask_of(panel.task.lesion, chest))
    assert np.allclose(to_ras(ct), to_ras(chest)) and np.allclose(to_ras(mask), to_ras(chest))
    record = json.loads((folder / "lesion-0001.json").read_text(encoding="utf-8"))
    assert record["synthetic"] is True and record["task"] == "inpaint-lesion"
    assert "Chest" not in (folder / "manifest.csv").read_text(encoding="utf-8")

    paint_ball(panel.task.lesion, "Lesion", chest, middle(chest) + 4.0, 5.0)
    click(panel.ui.pairButton)
    assert "lesion was changed or removed" in panel.ui.messageLabel.text


def save(panel, folder):
    harness.dialogs.choose_file(str(folder))
    click(panel.ui.pairButton)
    wait_until(lambda: panel.ui.pairButton.enabled, PATIENCE)


def test_the_training_reads_what_was_saved(slicer, chest, tmp_path):
    """The manifest's reader of Training/."""
    manifest = pytest.importorskip("MedDiffFMTraining.data.manifest")
    from MedDiffFMPanels.scene.exchange import addResult, ijkToRAS
    from MedDiffFMPanels.scene.lesion_segmentation import addEllipsoid, newLesion
    from MedDiffFMPanels.scene.training_pair import savePair

    lesion = newLesion(chest)
    assert addEllipsoid(lesion, chest, middle(chest), 12.0) > 0
    record = {"task": "inpaint-lesion", "synthetic": True, "facts": {"region": "chest"}}
    result = addResult(chest, slicer.util.arrayFromVolume(chest).copy(), ijkToRAS(chest), "Made", record)
    for _ in savePair(tmp_path, result, lesion):
        pass
    (row,) = manifest.read_manifest(tmp_path / "manifest.csv")
    assert row.path.is_file() and row.lesion.is_file() and row.region == "chest" and row.split == "train"


@pytest.mark.parametrize("when", ["another manifest", "full disk"])
def test_a_pair_that_cannot_be_saved_leaves_nothing(slicer, chest, panel, tmp_path, monkeypatch, when):
    from MedDiffFMPanels.scene import training_pair
    from MedDiffFMPanels.scene.exchange import addResult, ijkToRAS
    from MedDiffFMPanels.scene.nrrd import writeNrrd

    draw(panel, chest)
    voxels = slicer.util.arrayFromVolume(chest).copy()
    result = addResult(chest, voxels, ijkToRAS(chest), "Made", {"task": "inpaint-lesion", "facts": {}})
    panel.logic._lesionId, panel.logic._lesionDigest = panel.task.lesion.GetID(), digest(panel)
    panel.logic.markLesion(result)
    panel.result.show([result], chest)
    folder = tmp_path / "pairs"
    folder.mkdir()
    if when == "another manifest":
        (folder / "manifest.csv").write_text("name,age\nA,3\n")
        words = "manifest.csv of another kind"
    else:
        calls = []

        def full(path, *rest, **more):
            calls.append(path)
            return writeNrrd(path if len(calls) == 1 else "/dev/full", *rest, **more)

        monkeypatch.setattr(training_pair, "writeNrrd", full)
        words = "no room left"
    before = sorted(path.name for path in folder.iterdir())
    save(panel, folder)
    assert words in panel.ui.messageLabel.text
    assert sorted(path.name for path in folder.iterdir()) == before


def digest(panel):
    from MedDiffFMPanels.scene.lesion_segmentation import digestOf

    return digestOf(panel.task.lesion)


def test_leaving_puts_the_brush_down_and_keeps_what_was_drawn(slicer, chest, panel):
    ui, lesion = panel.ui, panel.task.lesion
    empty_first = lesion.GetID()
    harness.leave_module(panel)
    assert slicer.mrmlScene.GetNodeByID(empty_first) is None, "an empty lesion was left behind"
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    harness.enter_module(panel)
    lesion = panel.task.lesion
    draw(panel, chest)
    ui.editor.setActiveEffectByName("Paint")
    click(ui.placeButton)
    harness.leave_module(panel)
    assert ui.editor.mrmlSegmentEditorNode().GetActiveEffectName() in ("", None) and not ui.placeButton.checked
    harness.enter_module(panel)
    assert panel.task.lesion is lesion and mask_of(lesion, chest).any() and ui.runButton.enabled


def test_the_drawn_lesion_survives_saving_and_loading_the_scene(slicer, chest, panel, tmp_path):
    draw(panel, chest)
    before = mask_of(panel.task.lesion, chest)
    panel.ui.editor.setActiveEffectByName("Paint")
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    assert panel.ui.editor.segmentationNode() is None and not panel.ui.runButton.enabled
    with zipfile.ZipFile(tmp_path / "scene.mrb") as archive:
        archive.extractall(tmp_path)
    (mrml,) = tmp_path.glob("*/*.mrml")
    slicer.mrmlScene.SetURL(str(mrml))
    slicer.mrmlScene.SetRootDirectory(str(mrml.parent))
    assert slicer.mrmlScene.Connect()
    slicer.app.processEvents()
    lesion, chest = panel.task.lesion, panel.inputNode
    assert lesion.GetName() == "Chest lesion" and np.array_equal(mask_of(lesion, chest), before)
    assert panel.ui.editor.segmentationNode() is lesion and panel.ui.runButton.enabled
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1


def test_copy_as_command(panel, chest):
    import qt

    draw(panel, chest)
    panel.ui.samplesSpin.value = 3
    panel.ui.copyButton.click()
    text = qt.QApplication.clipboard().text()
    assert text.startswith("meddiff-fm inpaint-lesion Chest.nii.gz 'Chest lesion.seg.nrrd' OUTPUT.nii.gz")
    assert "--samples 3" in text


def test_the_modules_own_test(slicer, panel):
    slicer.modules.MedDiffFMInpaintLesionInstance.runTest()


def test_the_outline_can_be_hidden_to_see_the_rim(slicer, chest, panel):
    """It comes back by itself with the next stroke, and when the panel is left."""
    display, button = panel.task.lesion.GetDisplayNode(), panel.ui.outlineButton
    assert display.GetVisibility2D() and button.checked
    button.click()
    assert not display.GetVisibility2D()
    paint_ball(panel.task.lesion, "Lesion", chest, middle(chest), 6.0)
    wait_until(lambda: display.GetVisibility2D() and button.checked, PATIENCE)
    button.click()
    leave_module(panel)
    assert display.GetVisibility2D() and button.checked
