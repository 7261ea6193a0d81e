"""What a panel takes as its input by itself, what it refuses, and what it must not touch."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from panels import add_chest, to_ras
from test_every_panel import CROP, PANELS, add_organs

pytest.importorskip("slicer")
from harness import leave_module

OF_CT = [module for module, (kind, _name) in PANELS.items() if kind == "ct"]
SMALL = {"z": slice(50, 62), "y": slice(20, 40), "x": slice(20, 40)}


def add_labels(name="Labels"):
    import slicer

    voxels = np.zeros((8, 9, 10), np.int16)
    voxels[2:6, 2:6, 2:6] = 5
    return slicer.util.addVolumeFromArray(voxels, name=name, nodeClassName="vtkMRMLLabelMapVolumeNode")


@pytest.mark.parametrize("module", OF_CT)
def test_a_label_map_is_no_ct(slicer, module, open_panel):
    """It is a subclass of a scalar volume: what the selector shows and what the panel works on is one node."""
    add_labels()
    hidden = add_chest("Preview", **SMALL)
    hidden.SetHideFromEditors(True)
    panel = open_panel(module)
    assert panel.inputNode is None and panel.ui.inputSelector.currentNode() is None
    assert "no CT volume" in panel.ui.runButton.toolTip
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == [], "a lesion was drawn in no CT"
    chest = add_chest(**SMALL)
    slicer.app.processEvents()
    assert panel.inputNode is chest and panel.ui.inputSelector.currentNode() is chest


def test_a_scene_that_names_a_label_map_as_input(slicer, open_panel):
    """As older scenes may: it counts as no choice."""
    labels = add_labels()
    panel = open_panel("MedDiffFMDenoise")
    panel.bindings.node.SetNodeReferenceID("input", labels.GetID())
    assert panel.inputNode is None and panel.ui.inputSelector.currentNode() is None
    leave_module(panel)
    chest = add_chest(**SMALL)
    from harness import enter_module

    enter_module(panel)
    assert panel.inputNode is chest is panel.ui.inputSelector.currentNode()


def test_the_terminology_is_in_slicers_own_list(slicer):
    """Of a checkout of Slicer that the environment variable SLICER_SOURCE names."""
    source = os.environ.get("SLICER_SOURCE")
    if not source:
        pytest.skip("SLICER_SOURCE names no checkout of Slicer")
    from MedDiffFMPanels.scene.exchange import TERMINOLOGY

    folder = Path(source) / "Modules" / "Loadable" / "Terminologies" / "Resources"
    path = folder / "SegmentationCategoryTypeModifier-SlicerGeneralAnatomy.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    context, category, kind = TERMINOLOGY.split("~")[:3]
    assert known["SegmentationCategoryTypeContextName"] == context
    (found,) = [one for one in known["SegmentationCodes"]["Category"] if coded(one) == category]
    assert kind in [coded(one) for one in found["Type"]]


def coded(entry):
    return "^".join(entry[key] for key in ("CodingSchemeDesignator", "CodeValue", "CodeMeaning"))


@pytest.mark.parametrize("module", PANELS)
def test_a_result_overwrites_no_input(slicer, module, open_panel):
    """Nor what a segmentation was drawn on, nor a scan from DICOM; any other volume may be filled."""
    chest = add_chest(**CROP)
    scan, free = (slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in ("Scan", "Free"))
    scan.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    organs = add_organs(chest)
    organs.SetReferenceImageGeometryParameterFromVolumeNode(chest)
    panel = open_panel(module)
    source = {"ct": chest, "organs": organs}[PANELS[module][0]]
    panel.ui.inputSelector.setCurrentNode(source)
    what = "the input “Chest”" if source is chest else "“Chest”, on which “Organs” was drawn"
    for target, words in ((chest, what), (scan, "“Scan”, a scan from DICOM")):
        panel.ui.targetSelector.setCurrentNode(target)
        assert f"would overwrite {words}" in panel.ui.inputLabel.text and not panel.ui.runButton.enabled
        assert "Result goes to" in panel.ui.inputLabel.text
    panel.ui.targetSelector.setCurrentNode(free)
    assert "overwrite" not in panel.ui.inputLabel.text


def test_nor_from_a_script(slicer, open_panel):
    from MedDiffFMPanels.failures import Failure

    chest = add_chest(**SMALL)
    before, matrix = slicer.util.arrayFromVolume(chest).copy(), to_ras(chest)
    logic = open_panel("MedDiffFMSuperResolve").logic
    with pytest.raises(Failure, match=r".") as raised:
        logic.process(chest, chest, factor=2)
    assert "would overwrite the input “Chest”" in raised.value.message and "A new volume" in raised.value.next
    assert np.array_equal(slicer.util.arrayFromVolume(chest), before) and np.array_equal(to_ras(chest), matrix)
