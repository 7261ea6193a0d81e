"""The slice views belong to the module that is seen: what a panel shows there, and how it leaves them."""

from __future__ import annotations

import pytest
from panel_run import choose, end, run
from panels import add_chest
from patience import PATIENCE

pytest.importorskip("slicer")
from harness import click, enter_module, in_sight, leave_module, wait_until

VIEWS = ("Red", "Yellow", "Green")


@pytest.fixture
def panel(slicer, tiny_home, open_panel):
    """The Denoise panel with a chest in all views; its model is a tiny one."""
    chest = add_chest()
    slicer.util.setSliceViewerLayers(background=chest)
    panel = open_panel("MedDiffFMDenoise")
    choose(panel.ui.modelBox, "tiny")
    choose(panel.ui.qualityBox, "fast")
    wait_until(lambda: panel.ui.runButton.enabled, PATIENCE)
    yield panel
    end(panel)


def shown(slicer):
    """Names of the backgrounds, view by view."""
    composites = [slicer.app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode() for name in VIEWS]
    nodes = [slicer.mrmlScene.GetNodeByID(one.GetBackgroundVolumeID() or "") for one in composites]
    return [node.GetName() if node else None for node in nodes]


def said(slicer):
    return slicer.util.mainWindow().statusBar().currentMessage()


def test_a_result_waits_until_its_panel_is_seen_again(slicer, panel):
    """The user looks at another patient in another module meanwhile: their views stay, the status bar tells."""
    click(panel.ui.runButton)
    leave_module(panel)
    other = add_chest("Another patient")
    slicer.util.setSliceViewerLayers(background=other)
    wait_until(lambda: not panel.logic.busy, PATIENCE)
    slicer.util.getNode("Chest denoised")
    assert shown(slicer) == ["Another patient"] * 3 and panel.ui.resultSection.isHidden()
    assert "“Chest denoised” is ready" in said(slicer)
    enter_module(panel)
    assert shown(slicer) == ["Chest denoised"] * 3 and not panel.ui.resultSection.isHidden()
    leave_module(panel)
    slicer.util.setSliceViewerLayers(background=other)
    enter_module(panel)
    assert shown(slicer) == ["Another patient"] * 3, "shown once, not at every return"


def test_a_result_that_waits_may_be_deleted(slicer, panel):
    click(panel.ui.runButton)
    leave_module(panel)
    wait_until(lambda: not panel.logic.busy, PATIENCE)
    slicer.mrmlScene.RemoveNode(slicer.util.getNode("Chest denoised"))
    enter_module(panel)
    assert panel.ui.resultSection.isHidden()


def test_a_preview_is_gone_while_the_panel_is_not_seen(slicer, panel):
    panel.ui.stepsBox.value = 60
    click(panel.ui.runButton)
    wait_until(lambda: "Preview" in shown(slicer) or not panel.logic.busy, PATIENCE)
    assert panel.logic.busy, panel.ui.messageLabel.text
    leave_module(panel)
    assert shown(slicer) == ["Chest"] * 3
    step = panel.ui.statusLabel.text
    wait_until(lambda: panel.ui.statusLabel.text != step, PATIENCE)
    assert shown(slicer) == ["Chest"] * 3
    enter_module(panel)
    wait_until(lambda: "Preview" in shown(slicer) or not panel.logic.busy, PATIENCE)
    click(panel.ui.runButton)
    wait_until(lambda: not panel.logic.busy, PATIENCE)
    assert "cancelled" in said(slicer)


@pytest.mark.parametrize("mode", ["side", "flicker", "difference"])
def test_left_in_a_comparison(slicer, panel, mode):
    """Elsewhere the views show the result, as before; the pressed button says so when the user comes back."""
    run(panel)
    layout = slicer.app.layoutManager().layout
    getattr(panel.ui, f"{mode}Button").click()
    leave_module(panel)
    assert slicer.app.layoutManager().layout == layout
    assert shown(slicer) == ["Chest denoised"] * 3
    enter_module(panel)
    assert panel.ui.resultViewButton.checked and not getattr(panel.ui, f"{mode}Button").checked


def test_side_by_side_gives_back_what_each_view_showed(slicer, panel):
    run(panel)
    other = add_chest("Another")
    yellow = slicer.app.layoutManager().sliceWidget("Yellow").mrmlSliceCompositeNode()
    yellow.SetBackgroundVolumeID(other.GetID())
    panel.ui.sideButton.click()
    assert shown(slicer)[:2] == ["Chest", "Chest denoised"]
    leave_module(panel)
    assert shown(slicer) == ["Chest denoised", "Another", "Chest denoised"]
    enter_module(panel)
    panel.ui.sideButton.click()
    slicer.util.setSliceViewerLayers(background=other)
    leave_module(panel)
    assert shown(slicer) == ["Another"] * 3, "what the user has chosen since stays"


def test_the_status_bar_tells_of_the_run(slicer, panel):
    heard = []
    slicer.util.mainWindow().statusBar().connect("messageChanged(QString)", heard.append)
    run(panel)
    texts = " | ".join(heard)
    assert "Chest. Step" in texts and "Denoise" in texts and "“Chest denoised” is ready." in heard[-1]


def test_another_panel_says_what_it_waits_for_and_goes_on_by_itself(slicer, panel, open_panel):
    panel.ui.stepsBox.value = 60
    click(panel.ui.runButton)
    wait_until(lambda: panel.ui.statusLabel.text.startswith("Step"), PATIENCE)
    leave_module(panel)
    other = open_panel("MedDiffFMSuperResolve")
    other.ui.spacingBox.value = 0.75
    assert not other.ui.runButton.enabled and other.ui.reasonLabel.isVisible()
    assert "Denoise" in other.ui.reasonLabel.text and "Chest" in other.ui.reasonLabel.text
    panel.logic.cancel()
    wait_until(lambda: other.ui.runButton.enabled, PATIENCE)
    end(other)


def test_why_run_is_gray_is_read_with_input_collapsed(slicer, panel):
    panel.ui.inputSelector.setCurrentNode(None)
    assert not panel.ui.runButton.enabled and panel.ui.reasonLabel.isHidden(), "it stands below the input"
    panel.ui.inputSection.collapsed = True
    assert panel.ui.reasonLabel.isVisible() and "CT volume" in panel.ui.reasonLabel.text
    panel.ui.inputSection.collapsed = False
    assert panel.ui.reasonLabel.isHidden()


@pytest.mark.parametrize("module", ["MedDiffFMDenoise", "MedDiffFMInpaintLesion"])
def test_on_a_tall_screen_nothing_is_torn_apart(slicer, open_panel, module):
    """Sections are as high as what is in them, Run stands below the settings, and the rest is empty."""
    add_chest()
    panel = open_panel(module)
    ui, window = panel.ui, panel.parent.window()
    window.resize(500, 1600)
    wait_until(lambda: window.height == 1600 and not ui.settingsArea.verticalScrollBar().isVisible(), PATIENCE)
    sections = (ui.inputSection, ui.taskSection, ui.advancedSection, ui.batchSection)
    for section in sections:
        assert section.height <= section.layout().totalSizeHint().height() + 40, section.text
    assert ui.settingsArea.height == ui.settingsArea.maximumHeight
    bottom = ui.batchSection.mapTo(window, ui.batchSection.rect.bottomLeft()).y()
    assert bottom < 1000, "the space is at the end"
    window.resize(500, 620)
    wait_until(lambda: window.height == 620, PATIENCE)
    assert in_sight(ui.runButton) and in_sight(ui.advancedSection)
    end(panel)


@pytest.mark.parametrize("module", ["MedDiffFMDenoise", "MedDiffFMDetectAnomalies", "MedDiffFMGenerateLesion"])
def test_long_words_do_not_widen_the_panel(slicer, open_panel, module):
    """They wrap: Slicer widens its module panel to what a module asks for, and the views become narrower."""
    import qt

    panel = open_panel(module)
    window = panel.parent.window()
    for section in (panel.ui.advancedSection, panel.ui.batchSection):
        section.collapsed = False
    panel.ui.resultSection.visible = panel.ui.messageFrame.visible = True
    labels = [label for label in panel.parent.findChildren(qt.QLabel) if label.objectName.endswith("Label")]
    for label in [one for one in labels if one.wordWrap]:
        label.text = "The graphics card is not used: install a CUDA build of PyTorch with the PyTorch extension. " * 6
        label.visible = True
        slicer.app.processEvents()
        assert window.widget().width <= window.viewport().width, label.objectName
    end(panel)
