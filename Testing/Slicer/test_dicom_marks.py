"""How a result leaves Slicer by “Export to DICOM”: with real nodes, the tags as Slicer's dialog gathers them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from panels import add_chest
from test_denoise_panel import load_scene

pytest.importorskip("slicer")

# of DICOMScalarVolumePlugin.examineForExport: what a volume is called if its item says nothing
DEFAULTS = {
    "SeriesDescription": "No series description",
    "Modality": "CT",
    "Manufacturer": "Unknown manufacturer",
    "Model": "Unknown model",
    "SeriesNumber": "301",
}
TASKS = ("denoise", "detect-anomalies", "super-resolve", "inpaint-lesion", "synthesize", "generate-lesion")


def exported(slicer, node):
    """As qSlicerDICOMTagEditorWidget::setExportables: the item's attribute DICOM.<tag> where there is one."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(node)
    assert hierarchy.GetItemName(hierarchy.GetItemParent(item)) == "Study"
    return {
        tag: hierarchy.GetItemAttribute(item, f"DICOM.{tag}")
        if hierarchy.HasItemAttribute(item, f"DICOM.{tag}")
        else value
        for tag, value in DEFAULTS.items()
    }


def image_type(slicer, node):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    return hierarchy.GetItemAttribute(hierarchy.GetItemByDataNode(node), "DICOM.ImageType")


def in_a_study(slicer, node):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Patient")
    study = hierarchy.CreateStudyItem(patient, "Study")
    item = hierarchy.GetItemByDataNode(node)
    hierarchy.SetItemParent(item, study)
    hierarchy.SetItemAttribute(item, "DICOM.SeriesDescription", "Thorax 1.0")
    hierarchy.SetItemAttribute(item, "DICOM.Modality", "CT")


@pytest.mark.parametrize("synthetic", [True, False])
@pytest.mark.parametrize("task", TASKS)
def test_no_result_leaves_as_an_ordinary_ct(slicer, task, synthetic, tmp_path):
    """A new volume, and one that was filled; both again from a saved scene; the scan keeps its own tags."""
    from MedDiffFMPanels.scene.exchange import addResult, ijkToRAS

    chest = add_chest(z=slice(50, 56), y=slice(20, 30), x=slice(20, 30))
    in_a_study(slicer, chest)
    scan = exported(slicer, chest)
    assert scan == DEFAULTS | {"SeriesDescription": "Thorax 1.0", "Modality": "CT"}
    voxels, record = slicer.util.arrayFromVolume(chest) + 1, {"task": task, "synthetic": synthetic}
    record["model"] = {"name": "a: very|long; name " * 5}
    target = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Filled")
    made = [addResult(chest, voxels, ijkToRAS(chest), "Made", record, target=one) for one in (None, target)]
    check = [node.GetName() for node in made]
    assert exported(slicer, chest) == scan
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    for loaded in (False, True):
        if loaded:
            slicer.mrmlScene.Clear(False)
            load_scene(slicer, tmp_path / "scene.mrb")
        for name in check:
            tags = exported(slicer, slicer.util.getNode(name))
            assert tags["Modality"] != "CT" and tags["Manufacturer"] == "MedDiff-FM"
            assert task in tags["SeriesDescription"] and tags["SeriesDescription"].endswith(", not for diagnosis")
            assert tags["SeriesDescription"].startswith("SYNTHETIC") == synthetic
            assert image_type(slicer, slicer.util.getNode(name)) == "DERIVED\\SECONDARY"
            assert all(len(value) <= 64 for value in tags.values()), "longer than DICOM's LO"


def test_findings_are_marked_too(slicer):
    from MedDiffFMPanels.scene.exchange import addResult, ijkToRAS
    from MedDiffFMPanels.scene.findings_nodes import FindingsNodes, automaticRule

    chest = add_chest(z=slice(50, 56), y=slice(20, 30), x=slice(20, 30))
    in_a_study(slicer, chest)
    deviation = (slicer.util.arrayFromVolume(chest) * 0).astype("float32") + 80
    facts = {"organ": "liver", "threshold_hu": 40.0, "threshold_counts_from_hu": 0.0}
    node = addResult(chest, deviation, ijkToRAS(chest), "Map", {"task": "detect-anomalies", "facts": facts})
    nodes = FindingsNodes(node)
    for _turn in nodes.applyRule(automaticRule(node)):
        pass
    assert "AI-derived, not for diagnosis" in exported(slicer, nodes.segmentation)["SeriesDescription"]


def test_slicer_asks_for_these_tags(slicer):
    """In a checkout of Slicer that the environment variable SLICER_SOURCE names."""
    source = os.environ.get("SLICER_SOURCE")
    if not source:
        pytest.skip("SLICER_SOURCE names no checkout of Slicer")
    path = Path(source) / "Modules" / "Scripted" / "DICOMPlugins" / "DICOMScalarVolumePlugin.py"
    found = dict(re.findall(r'exportable\.setTag\("(\w+)", "(.*?)"\)', path.read_text(encoding="utf-8")))
    assert {tag: found[tag] for tag in DEFAULTS} == DEFAULTS
