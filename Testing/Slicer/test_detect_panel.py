"""The Detect Anomalies panel: maps with findings worked out by hand, and a run of the real worker on a real CT."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from panels import DATA, add_chest, folders_left, to_ras
from patience import PATIENCE
from turns import Turns

pytest.importorskip("slicer")
import harness
from harness import click, dialogs, press, wait_until

SHAPE = (112, 101, 122)  # of the abdomen
ORGAN = (slice(40, 60), slice(30, 60), slice(30, 60))


@pytest.fixture
def abdomen(slicer):
    for view in ("Red", "Yellow", "Green"):
        slicer.app.layoutManager().sliceWidget(view)
    return slicer.util.loadVolume(str(DATA / "abd_ts_example.nii.gz"), {"name": "Abdomen"})


@pytest.fixture
def anatomy(abdomen):
    return load_anatomy("abd_ts_example")


def load_anatomy(name):
    """A sample's own label map as a segmentation with the organs' names."""
    import slicer

    labels = slicer.util.loadLabelVolume(str(DATA / f"{name}_seg.nii.gz"))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
    slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labels, node)
    slicer.mrmlScene.RemoveNode(labels)
    names = json.loads((DATA / "labels.json").read_text(encoding="utf-8"))[name]
    segmentation = node.GetSegmentation()
    for number in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(number)
        segment.SetName(names[str(segment.GetLabelValue())])
    return node


@pytest.fixture
def panel(slicer, abdomen, open_panel):
    widget = open_panel("MedDiffFMDetectAnomalies")
    widget.estimate.stop()
    yield widget
    from MedDiffFMPanels.runner.job import sharedWorker

    widget.logic.abandon()
    widget.estimate.stop()
    sharedWorker().end()
    slicer.mrmlScene.Clear(False)  # with the scene goes the CT that was written for an estimate
    assert folders_left() == []


def choose(combo, key):
    index = combo.findData(key)
    assert index >= 0, key
    combo.setCurrentIndex(index)


def known_map() -> np.ndarray:
    """Voxels of 0.027 ml: 60 of +80 HU in a block, 25 of −60 HU in a plate, one of −90 HU; 2 HU elsewhere."""
    voxels = np.zeros(SHAPE, np.float32)
    voxels[ORGAN] = 2
    voxels[45:48, 40:44, 40:45] = 80
    voxels[52, 50:55, 50:55] = -60
    voxels[58, 35, 35] = -90
    return voxels


def show_map(panel, source, voxels, limit=40.0, center=0.0):
    """As at the end of a run that made this map."""
    from MedDiffFMPanels.scene import exchange
    from MedDiffFMPanels.scene.findings_nodes import colorMap

    facts = {"organ": "liver", "threshold_hu": limit, "threshold_counts_from_hu": center}
    record = {"task": "detect-anomalies", "synthetic": False, "facts": facts, "seconds": 3}
    node = exchange.addResult(source, voxels, exchange.ijkToRAS(source), "Abdomen deviation", record)
    colorMap(node)
    panel.result.show([node], source)
    settle(panel)
    return node


def settle(panel):
    wait_until(lambda: panel.task.findings._generator is None, PATIENCE)


def marked(slicer, panel, segment, volume):
    segmentation = panel.task.findings.nodes.segmentation
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment, volume) > 0


def rows(panel):
    table = panel.ui.findingsTable
    return [[table.item(r, c).text() for c in range(table.columnCount)] for r in range(table.rowCount)]


def test_findings_of_a_known_map(slicer, abdomen, panel):
    """Numbers by hand: 60 · 27 mm³ = 1.62 ml, 25 · 27 mm³ = 0.675 ml; one voxel is under 0.1 ml."""
    node = show_map(panel, abdomen, known_map())
    voxels = slicer.util.arrayFromVolume(node)
    assert (marked(slicer, panel, "brighter", node) == (voxels >= 40)).all()
    assert (marked(slicer, panel, "darker", node) == (voxels <= -40)).all()
    assert rows(panel) == [
        ["brighter", "1.6 ml", "15 × 12 × 9", "+80 HU", "130"],
        ["darker", "0.68 ml", "15 × 15 × 3", "-60 HU", "40"],
    ]
    assert "2 findings" in panel.ui.findingsLabel.text and "not listed: 1" in panel.ui.findingsLabel.text
    panel.ui.minVolumeBox.value = 0
    settle(panel)
    assert rows(panel)[2] == ["darker", "0.03 ml", "3 × 3 × 3", "-90 HU", "2"]
    first = panel.task.findings.findings[0]
    assert first.center == pytest.approx((to_ras(abdomen) @ [42, 41.5, 46, 1])[:3])


def test_the_threshold_moves_the_segmentation_at_once(slicer, abdomen, panel, monkeypatch):
    """By the slider's keyboard too; no job starts."""
    node = show_map(panel, abdomen, known_map())
    voxels = slicer.util.arrayFromVolume(node)
    monkeypatch.setattr(panel.logic, "start", lambda *a, **k: pytest.fail("the model ran again"))
    segmentation = panel.task.findings.nodes.segmentation
    panel.ui.thresholdSlider.value = 60  # a voxel of exactly the threshold belongs to it
    assert (marked(slicer, panel, "darker", node) == (voxels <= -60)).all()
    panel.ui.thresholdSlider.value = 61
    assert marked(slicer, panel, "darker", node).sum() == 1
    settle(panel)
    assert len(rows(panel)) == 1 and panel.ui.findingsLabel.text.startswith("<b>1 finding<")
    choose(panel.ui.sidesBox, "darker")
    settle(panel)
    assert not marked(slicer, panel, "brighter", node).any()
    assert "No findings" in panel.ui.findingsLabel.text and panel.ui.findingsTable.isHidden()
    click(panel.ui.autoThresholdButton)
    settle(panel)
    assert panel.ui.thresholdSlider.value == 40 and len(rows(panel)) == 1
    assert panel.task.findings.nodes.segmentation is segmentation
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 2


def test_deviations_count_from_the_organs_own_level(slicer, abdomen, panel):
    """With contrast medium all of an organ may be 30 HU off; outside of it, at 0, is never a finding."""
    voxels = known_map()
    voxels[voxels == 2] = 30
    node = show_map(panel, abdomen, voxels, limit=25, center=30)
    assert (marked(slicer, panel, "brighter", node) == (voxels >= 55)).all()
    assert (marked(slicer, panel, "darker", node) == ((voxels <= 5) & (voxels != 0))).all()
    colors, at = node.GetDisplayNode().GetColorNode(), [0.0] * 4
    colors.GetColor(int((0 - (30 - 50)) / 100 * 256), at)
    assert at[3] == 0, "outside of the organ is colored"


def test_parts_are_those_of_one_look(slicer, monkeypatch):
    """A real CT's structure cut into pieces of one slice, against the backend's labels of the whole."""
    from MedDiffFMLib.tasks.findings import find_parts
    from MedDiffFMLib.tasks.threshold import Threshold
    from MedDiffFMPanels.scene import findings

    whole = slicer.util.loadVolume(str(DATA / "abd_ts_example.nii.gz"), {"show": False})
    voxels = np.clip(slicer.util.arrayFromVolume(whole)[30:60], -200, 300).astype(np.float32)
    voxels[voxels == 0] = 1
    parts = find_parts(voxels, np.ones(voxels.shape, bool), Threshold(40.0, 120.0), 0.3, 0.027)
    rule = findings.Rule(40.0, 120.0, smallestMl=0.3)
    monkeypatch.setattr(findings, "PIECE", 1)
    monkeypatch.setattr(findings, "ROWS_AT_ONCE", 3)
    walk = findings.findParts(voxels, rule, np.diag([3, 3, 3, 1.0]))
    found, _smaller = finish(walk)
    counts = np.bincount(parts.ravel())[1:]
    assert len(found) == len(counts) > 10
    assert sorted(one.volumeMl for one in found) == pytest.approx(sorted(counts * 0.027))
    for one in found:
        k, j, i = (round(mm / 3) for mm in one.peak[::-1])
        assert one.peakHU == pytest.approx(voxels[k, j, i])
        where = parts == parts[k, j, i]
        assert one.volumeMl == pytest.approx(where.sum() * 0.027)
        assert one.meanHU == pytest.approx(voxels[where].mean(dtype=float), abs=1e-3)
        assert one.center[::-1] == pytest.approx([3 * axis.mean() for axis in np.nonzero(where)])
        assert one.sizeMm[::-1] == pytest.approx([3 * (np.ptp(axis) + 1) for axis in np.nonzero(where)])


def finish(walk):
    while True:
        try:
            next(walk)
        except StopIteration as end:
            return end.value


def test_a_click_or_an_arrow_key_leads_to_the_finding(slicer, abdomen, panel):
    import qt

    show_map(panel, abdomen, known_map())
    table = panel.ui.findingsTable
    click_row(table, 0)
    assert place_of_the_views(slicer) == pytest.approx(panel.task.findings.findings[0].peak)
    press(table, qt.Qt.Key_Down)
    r, a, s = panel.task.findings.findings[1].peak
    assert place_of_the_views(slicer) == pytest.approx((r, a, s))
    k, j, i = (round(n) for n in (np.linalg.inv(to_ras(abdomen)) @ [r, a, s, 1])[2::-1])
    assert known_map()[k, j, i] == -60


def test_a_finding_lies_in_the_middle_of_each_view(slicer, abdomen, panel):
    """And the crosshair that marks it goes with the panel; one that the user had stays."""
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    crosshair.SetCrosshairMode(crosshair.NoCrosshair)
    show_map(panel, abdomen, known_map())
    click_row(panel.ui.findingsTable, 1)
    for view in ("Yellow", "Green", "Red"):
        plane = slicer.app.layoutManager().sliceWidget(view).mrmlSliceNode().GetSliceToRAS()
        middle = [plane.GetElement(axis, 3) for axis in range(3)]
        assert middle == pytest.approx(panel.task.findings.findings[1].peak), view
    assert crosshair.GetCrosshairMode() == crosshair.ShowSmallBasic
    harness.leave_module(panel)
    assert crosshair.GetCrosshairMode() == crosshair.NoCrosshair
    harness.enter_module(panel)
    click_row(panel.ui.findingsTable, 1)
    assert crosshair.GetCrosshairMode() == crosshair.ShowSmallBasic
    crosshair.SetCrosshairMode(crosshair.ShowAll)
    harness.leave_module(panel)
    assert crosshair.GetCrosshairMode() == crosshair.ShowAll
    crosshair.SetCrosshairMode(crosshair.NoCrosshair)


def click_row(table, row):
    import qt

    place = table.visualItemRect(table.item(row, 1)).center()
    qt.QTest.mouseClick(table.viewport(), qt.Qt.LeftButton, qt.Qt.NoModifier, place)


def place_of_the_views(slicer):
    """The place that sagittal, coronal and axial view have in common."""
    planes = [slicer.app.layoutManager().sliceWidget(view).mrmlSliceNode() for view in ("Yellow", "Green", "Red")]
    return [plane.GetSliceToRAS().GetElement(axis, 3) for axis, plane in enumerate(planes)]


def test_nodes_lie_beside_their_source_and_survive_the_scene(slicer, abdomen, panel, tmp_path):
    """Provenance, terminology, reference geometry; a loaded scene goes on where it was saved."""
    from test_denoise_panel import load_scene

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "Study")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(abdomen), folder)
    node = show_map(panel, abdomen, known_map())
    panel.ui.thresholdSlider.value = 70
    settle(panel)
    nodes = panel.task.findings.nodes
    for one in (node, nodes.segmentation, nodes.table):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(one)) == folder
        assert json.loads(one.GetAttribute("MedDiffFM.provenance"))["facts"]["organ"] == "liver"
        assert one.GetAttribute("MedDiffFM.synthetic") == "false"
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    assert nodes.segmentation.GetNodeReference(role) is node
    segment = nodes.segmentation.GetSegmentation().GetSegment("brighter")
    assert "^Morphologically Altered Structure~SCT^4147007^Mass~" in tag(segment, "TerminologyEntry")

    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    assert panel.task.findings.nodes is None and panel.ui.resultSection.isHidden()
    load_scene(slicer, tmp_path / "scene.mrb")
    settle(panel)
    assert panel.ui.thresholdSlider.value == 70 and not panel.ui.resultSection.isHidden()
    assert [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")] == [
        "Abdomen deviation findings"
    ]
    loaded = slicer.util.getNode("Abdomen deviation")
    assert (marked(slicer, panel, "brighter", loaded) == (known_map() >= 70)).all()
    assert panel.task.findings.nodes.table.GetTable().GetNumberOfRows() == 1
    assert loaded.GetDisplayNode().GetColorNode().GetNumberOfColors() == 256


def test_a_map_without_its_colors_gets_them_again(slicer, abdomen, panel):
    """As Slicer 5.10 leaves it: hidden tables are not saved beside an .mrml, so this one is not hidden either."""
    node = show_map(panel, abdomen, known_map())
    colors = node.GetDisplayNode().GetColorNode()
    assert colors.GetNumberOfColors() == 256 and not colors.GetHideFromEditors() and colors.GetSaveWithScene()
    harness.leave_module(panel)
    panel.bindings.node.SetNodeReferenceID("anomalyMap", None)
    slicer.mrmlScene.RemoveNode(colors)
    assert node.GetDisplayNode().GetColorNode() is None
    harness.enter_module(panel)
    panel.bindings.node.SetNodeReferenceID("anomalyMap", node.GetID())
    settle(panel)
    assert node.GetDisplayNode().GetColorNode().GetNumberOfColors() == 256


def tag(segment, name):
    import vtk

    value = vtk.mutable("")
    segment.GetTag(name, value)
    return str(value)


def test_the_table_can_be_saved(abdomen, panel, tmp_path):
    from MedDiffFMLib.parameters.detect_anomalies import FINDING_COLUMNS

    show_map(panel, abdomen, known_map())
    dialogs.choose_file(str(tmp_path / "findings.csv"))
    click(panel.ui.saveTableButton)
    with open(tmp_path / "findings.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert set(FINDING_COLUMNS) <= set(first) and first["finding"] == "1" and first["organ"] == "liver"
    assert (first["deviation"], first["volume_ml"], first["peak_hu"]) == ("brighter", "1.62", "80")
    assert second["mean_hu"] == "-60" and second["score_hu_ml"] == "40.5"


def test_organs_are_those_that_the_anatomy_shows(slicer, abdomen, anatomy, panel):
    ui = panel.ui
    assert [ui.organBox.itemData(n) for n in range(ui.organBox.count)] == ["body", "lungs", "bones"]
    choose(ui.anatomyBox, "segmentation")
    ui.anatomySelector.setCurrentNode(anatomy)
    choose(ui.organBox, "liver")
    assert ui.organBox.findData("kidney") > 0 and ui.organBox.findData("brain") < 0 and ui.organLabel.isHidden()
    assert ui.runButton.enabled and panel.parameters()["organ"] == "liver"
    choose(ui.anatomyBox, "threshold")
    assert panel.parameters()["organ"] == "liver", "the choice was lost"
    assert not ui.runButton.enabled and "does not show this: Liver" in ui.runButton.toolTip
    choose(ui.anatomyBox, "segmentation")
    assert ui.runButton.enabled
    far = add_chest("Far away")
    matrix = far.GetOrigin()
    far.SetOrigin(matrix[0] + 5000, matrix[1], matrix[2])
    ui.inputSelector.setCurrentNode(far)
    assert not ui.runButton.enabled and "outside the CT" in ui.runButton.toolTip


def test_a_run_from_the_first_click_to_the_findings(slicer, panel, cold_home):
    """A tiny model in the real worker, a real chest; the findings against the backend's, from the same map."""
    panel.advanced.listModels()
    chest, anatomy = add_chest(), load_anatomy("chest_ts_aorta")
    panel.ui.inputSelector.setCurrentNode(chest)
    choose(panel.ui.modelBox, "tiny")
    choose(panel.ui.anatomyBox, "segmentation")
    panel.ui.anatomySelector.setCurrentNode(anatomy)
    choose(panel.ui.organBox, "heart")
    wait_until(lambda: "A run takes about" in panel.ui.estimateLabel.text, PATIENCE)
    turns = Turns()
    click(panel.ui.runButton)
    wait_until(lambda: not panel.logic.busy, PATIENCE)
    assert panel.ui.messageFrame.isHidden(), panel.ui.messageLabel.text
    settle(panel)
    longest = turns.stop()
    node = slicer.util.getNode("Chest deviation")
    voxels, record = slicer.util.arrayFromVolume(node), json.loads(node.GetAttribute("MedDiffFM.provenance"))
    heart = anatomy.GetSegmentation().GetSegmentIdBySegmentName("heart")
    heart = slicer.util.arrayFromSegmentBinaryLabelmap(anatomy, heart, chest) > 0
    found = voxels != 0  # it may end within a voxel of the segment: the model computes on 1 mm
    assert found[heart].mean() > 0.99 and (found & ~heart).sum() < 0.05 * heart.sum()
    assert np.allclose(to_ras(node), to_ras(chest)) and record["source"]["size"] == [64, 64, 32]
    assert record["parameters"]["organ"] == "heart" and record["model"]["name"] == "tiny"
    compare_with_backend(panel, voxels, found, record["facts"])
    composite = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceCompositeNode()
    assert (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID()) == (chest.GetID(), node.GetID())
    panel.ui.opacitySlider.value = 25
    assert composite.GetForegroundOpacity() == 0.25
    assert "many false findings" in panel.ui.resultLabel.text
    turns.check(longest)


def compare_with_backend(panel, voxels, organ, facts):
    """facts has the threshold with two digits: a voxel next to it may fall on either side."""
    from MedDiffFMLib.tasks.findings import find_parts
    from MedDiffFMLib.tasks.threshold import Threshold

    assert panel.ui.thresholdSlider.value == pytest.approx(facts["threshold_hu"], abs=0.051)
    threshold = Threshold(facts["threshold_counts_from_hu"], panel.ui.thresholdSlider.value)
    parts = find_parts(voxels, organ, threshold, 0.1, 1.5**3 / 1000)
    counts = sorted(np.bincount(parts.ravel())[1:] * 1.5**3 / 1000)
    assert sorted(one.volumeMl for one in panel.task.findings.findings) == pytest.approx(counts)


def test_deleted_nodes(slicer, abdomen, panel):
    """A deleted segmentation comes again with the next change; a deleted map ends the result."""
    node = show_map(panel, abdomen, known_map())
    slicer.mrmlScene.RemoveNode(panel.task.findings.nodes.segmentation)
    settle(panel)
    assert marked(slicer, panel, "brighter", node).sum() == 60
    slicer.mrmlScene.RemoveNode(node)
    assert panel.ui.resultSection.isHidden() and panel.task.findings.nodes is None


def test_a_large_map_never_halts_slicer(slicer, panel):
    """45 million voxels of noise: thousands of parts at the lowest threshold."""
    voxels = np.random.default_rng(0).normal(0, 30, (40, 256, 256)).astype(np.float32)
    voxels = np.tile(voxels, (17, 1, 1))
    source = slicer.util.addVolumeFromArray(np.zeros(voxels.shape, np.int16), name="Large")
    node = show_map(panel, source, voxels, limit=110)
    turns = Turns()
    panel.ui.thresholdSlider.value = 90
    assert panel.task.findings._generator is not None, "all was done in the first turn"
    settle(panel)
    turns.check()
    some = slice(100, 140)
    assert (marked(slicer, panel, "brighter", node)[some] == (voxels[some] >= 90)).all()
