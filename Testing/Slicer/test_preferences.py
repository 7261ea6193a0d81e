"""What a user chose last holds in the next scene and in the other panels; what a scene says holds in that scene."""

from __future__ import annotations

import pytest
from panel_run import choose

pytest.importorskip("slicer")
import harness
from harness import press


def by_hand(combo, key):
    """Choose as a user does, by the keyboard."""
    import qt

    press(combo, qt.Qt.Key_Home)
    while combo.currentData != key:
        before = combo.currentIndex
        press(combo, qt.Qt.Key_Down)
        assert combo.currentIndex != before, key


@pytest.fixture
def open_with_model(tiny_home, open_panel):
    return open_panel


def chosen(panel):
    ui = panel.ui
    shown = tuple(box.currentData for box in (ui.deviceBox, ui.modelBox, ui.qualityBox))
    assert shown == tuple(panel.bindings.value(name) for name in ("device", "model", "quality")), "shown and used"
    return shown


def test_a_new_scene_keeps_device_model_and_quality(slicer, open_with_model):
    panel = open_with_model("MedDiffFMDenoise")
    assert chosen(panel) == ("auto", "", "balanced")
    for box, key in ((panel.ui.deviceBox, "cpu"), (panel.ui.modelBox, "tiny"), (panel.ui.qualityBox, "fast")):
        by_hand(box, key)
    panel.ui.seedBox.value = 7
    slicer.mrmlScene.Clear(False)
    assert chosen(panel) == ("cpu", "tiny", "fast")
    assert panel.ui.seedBox.value == 0, "a seed belongs to its scene"
    harness.leave_module(panel)
    other = open_with_model("MedDiffFMSuperResolve")
    assert chosen(other) == ("cpu", "tiny", "balanced"), "each task has a quality of its own"


def test_what_a_scene_says_goes_first_and_is_not_remembered(slicer, open_with_model, tmp_path):
    panel = open_with_model("MedDiffFMDenoise")
    choose(panel.ui.deviceBox, "cpu")  # as a loaded scene does it, without a hand
    choose(panel.ui.qualityBox, "paper")
    by_hand(panel.ui.modelBox, "tiny")
    node = panel.bindings.node
    node.SetParameter("device", "auto")
    assert chosen(panel) == ("auto", "tiny", "paper")
    slicer.mrmlScene.Clear(False)
    assert chosen(panel) == ("auto", "tiny", "balanced")


def test_a_model_that_is_gone_is_not_chosen(slicer, open_with_model):
    slicer.app.userSettings().setValue("MedDiffFM/model", "gone")
    assert chosen(open_with_model("MedDiffFMDenoise")) == ("auto", "", "balanced")
