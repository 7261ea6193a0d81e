"""What a panel takes as its input by itself, what it refuses, and what it must not touch."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from panels import add_chest
from test_every_panel import PANELS

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
    from MedDiffFMPanels.exchange import TERMINOLOGY

    folder = Path(source) / "Modules" / "Loadable" / "Terminologies" / "Resources"
    path = folder / "SegmentationCategoryTypeModifier-SlicerGeneralAnatomy.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    context, category, kind = TERMINOLOGY.split("~")[:3]
    assert known["SegmentationCategoryTypeContextName"] == context
    (found,) = [one for one in known["SegmentationCodes"]["Category"] if coded(one) == category]
    assert kind in [coded(one) for one in found["Type"]]


def coded(entry):
    return "^".join(entry[key] for key in ("CodingSchemeDesignator", "CodeValue", "CodeMeaning"))
