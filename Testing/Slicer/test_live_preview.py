"""What the slice views show while the real worker computes with the bundled model, and afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from panel_run import choose, end
from panels import add_chest, names_in_scene, to_ras
from patience import PATIENCE

pytest.importorskip("slicer")
from harness import click, wait_until

RESULTS = ("Chest denoised", "Chest denoised full strength")  # the second one hidden


@pytest.fixture
def chest(slicer):
    for view in ("Red", "Yellow", "Green"):
        slicer.app.layoutManager().sliceWidget(view)
    node = add_chest()
    slicer.util.setSliceViewerLayers(background=node)
    return node


@pytest.fixture
def panel(chest, bundled_home, open_panel):
    widget = open_panel("MedDiffFMDenoise")
    choose(widget.ui.qualityBox, "balanced")
    widget.ui.stepsBox.value = 16  # the first preview comes after two seconds
    yield widget
    end(widget)


def backgrounds():
    import slicer

    views = [slicer.app.layoutManager().sliceWidget(name) for name in ("Red", "Yellow", "Green")]
    return [view.sliceLogic().GetSliceCompositeNode().GetBackgroundVolumeID() for view in views]


def preview_of_a_run(slicer, panel):
    """Click Run and wait for its first preview: the node that all three views show."""
    before = backgrounds()
    click(panel.ui.runButton)
    wait_until(lambda: backgrounds() != before or not panel.logic.busy, PATIENCE)
    assert panel.logic.busy, "the run showed nothing before its end"
    (shown,) = set(backgrounds())
    return slicer.mrmlScene.GetNodeByID(shown)


def looks(node):
    display = node.GetDisplayNode()
    return display.GetID(), display.GetWindow(), display.GetLevel(), display.GetColorNodeID()


def test_the_estimate_takes_the_inputs_place_until_the_end_and_until_cancel(slicer, chest, panel):
    """It is of the patient, at the patient's place, and nobody can choose or save it."""
    nodes, before, looked = names_in_scene(), slicer.util.arrayFromVolume(chest).copy(), looks(chest)
    wait_until(lambda: "A run takes about" in panel.ui.estimateLabel.text, PATIENCE)
    panel.ui.seedBox.value = 2
    assert "A run takes about" in panel.ui.estimateLabel.text, "another seed takes no other time"
    preview = preview_of_a_run(slicer, panel)
    assert preview.GetName() == "Preview" and preview.GetHideFromEditors() and not preview.GetSaveWithScene()
    assert looks(preview)[1:3] == (700, 100) and preview.GetID() not in names_to_choose(panel)
    compare_with_ct(slicer, preview, chest, before)
    wait_until(lambda: not panel.logic.busy, PATIENCE)
    assert panel.ui.messageFrame.isHidden(), panel.ui.messageLabel.text
    result = slicer.util.getNode("Chest denoised")
    assert backgrounds() == [result.GetID()] * 3 and names_in_scene() == sorted([*nodes, *RESULTS])

    slicer.util.setSliceViewerLayers(background=chest)
    count = slicer.mrmlScene.GetNumberOfNodes()
    preview_of_a_run(slicer, panel)
    click(panel.ui.runButton)
    wait_until(lambda: not panel.logic.busy, PATIENCE)
    assert panel.ui.messageLabel.text.startswith("Cancelled")
    assert backgrounds() == [chest.GetID()] * 3 and names_in_scene() == sorted([*nodes, *RESULTS])
    assert slicer.mrmlScene.GetNumberOfNodes() == count, "the preview left a node behind"
    assert looks(chest) == looked and (slicer.util.arrayFromVolume(chest) == before).all()


def names_to_choose(panel):
    selector = panel.ui.inputSelector
    nodes = [selector.nodeFromIndex(number) for number in range(selector.nodeCount())]
    return [node.GetID() for node in nodes if node]


def compare_with_ct(slicer, preview, chest, before):
    """Voxel by voxel at the preview's own places."""
    voxels = slicer.util.arrayFromVolume(preview)
    k, j, i = (axis.ravel() for axis in np.indices(voxels.shape))
    ras = to_ras(preview) @ np.stack([i, j, k, np.ones_like(i)])
    place = np.rint((np.linalg.inv(to_ras(chest)) @ ras)[:3][::-1]).astype(int)
    inside = ((place >= 0) & (place < np.reshape(before.shape, (3, 1)))).all(axis=0)
    assert inside.mean() > 0.95
    assert np.corrcoef(voxels.ravel()[inside], before[tuple(place[:, inside])])[0, 1] > 0.9
