"""Every panel by real key events: Tab from the first field to the last and back, letters of labels, Run by Return."""

from __future__ import annotations

import itertools

import pytest
from panel_run import choose, end
from panels import add_chest
from patience import PATIENCE

pytest.importorskip("slicer")
import harness
from harness import press, wait_until

PANELS = ["Denoise", "DetectAnomalies", "Synthesize", "SuperResolve", "GenerateLesion", "InpaintLesion"]
FROM_LABELS = ("Synthesize", "GenerateLesion")
OF_SLICER = set("FEVH")  # the letters of the main window's menus: File, Edit, View, Help


@pytest.fixture
def opened(slicer, open_panel, tiny_home):
    """opened("Denoise"): the panel, in an active window, with an input; its model is a tiny one."""
    panels = []

    def open_(name):
        chest = add_chest()
        if name in FROM_LABELS:
            organs(slicer, chest)
        panel = open_panel(f"MedDiffFM{name}")
        window = panel.parent.window()
        window.show()
        window.activateWindow()
        wait_until(lambda: window.isActiveWindow, PATIENCE)
        panels.append(panel)
        return panel

    yield open_
    for panel in panels:
        end(panel)


def organs(slicer, grid):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
    node.SetReferenceImageGeometryParameterFromVolumeNode(grid)
    node.GetSegmentation().AddEmptySegment("liver", "liver")
    voxels = (slicer.util.arrayFromVolume(grid) > 0).astype("uint8")
    slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, node, "liver", grid)


def focused():
    import qt

    return qt.QApplication.focusWidget()


def path_by_tab(panel, key):
    """The widgets that take the focus, from the present one until the panel is left or begins anew."""
    found = [focused()]
    while True:
        press(focused(), key)
        widget = focused()
        if widget in found or widget is panel.parent or not panel._root.isAncestorOf(widget):
            return found
        found.append(widget)


def should_be_reached(panel):
    import qt

    from MedDiffFMPanels.toolkit.keyboard import _takesTab

    every = panel._root.findChildren(qt.QWidget)
    return [widget for widget in every if _takesTab(widget) and widget.isVisible() and widget.isEnabled()]


@pytest.mark.parametrize("name", PANELS)
def test_tab_goes_from_top_to_bottom_and_back(opened, name):
    import qt

    panel = opened(name)
    panel.ui.advancedSection.collapsed = False
    if name == "Denoise":
        choose(panel.ui.sigmaBox, "own")
        choose(panel.ui.areaBox, "box")
        panel.ui.newBoxButton.click()
    harness.wait_until(lambda: panel.ui.stepsBox.isVisible(), PATIENCE)
    panel.ui.inputSection.setFocus()
    there = path_by_tab(panel, qt.Qt.Key_Tab)
    wanted = should_be_reached(panel)
    assert {*there} == {*wanted}, [w.objectName for w in {*there} ^ {*wanted}]

    def place(widget):
        at = widget.mapTo(panel._root, qt.QPoint(0, 0))
        return at.y() + widget.size.height() / 2, at.x()

    for before, after in itertools.pairwise(there):
        (y, x), (below, right) = place(before), place(after)
        inside = before.isAncestorOf(after)  # a section's head, then what is in it
        inside = inside or ("editor" in names_above(before) and "editor" in names_above(after))  # Slicer's own order
        assert inside or below > y - 12 or (abs(below - y) < 24 and right > x), (before.objectName, after.objectName)
    there[-1].setFocus()
    assert path_by_tab(panel, qt.Qt.Key_Backtab) == there[::-1]


@pytest.mark.parametrize("name", PANELS)
def test_letters_lead_to_their_fields_and_every_field_has_a_name(opened, name):
    import qt

    panel = opened(name)
    texts = {one: one.text for one in vars(panel.ui).values() if "&" in str(getattr(one, "text", ""))}
    letters = {
        w: text[text.index("&") + 1].upper() for w, text in texts.items() if isinstance(text, str) and "&" in text
    }
    assert len({*letters.values()}) == len(letters) >= 5 and not {*letters.values()} & OF_SLICER
    for label, letter in letters.items():
        if label.className() == "QLabel" and label.isVisible():
            panel.ui.inputSection.setFocus()
            press(focused(), getattr(qt.Qt, f"Key_{letter}"), qt.Qt.AltModifier)
            assert label.buddy() is focused(), texts[label]
    for widget in should_be_reached(panel):
        outer, named = widget, False
        while outer is not panel._root and not named:
            own = getattr(outer, "text", "") if "Button" in outer.className() else ""
            named = bool(own or outer.accessibleName)
            outer = outer.parentWidget()
        assert named or "editor" in names_above(widget), (widget.className(), widget.objectName)


def names_above(widget):
    found = []
    while widget is not None:
        found.append(widget.objectName)
        widget = widget.parentWidget()
    return found


def test_denoise_by_keys_alone(slicer, opened):
    """A quality by its first letter, Run by Return, the result, and the comparison by an arrow key."""
    import qt

    panel = opened("Denoise")
    ui = panel.ui
    press(ui.inputSection, qt.Qt.Key_Q, qt.Qt.AltModifier)
    press(focused(), qt.Qt.Key_Q)
    assert ui.qualityBox.currentData == "fast"
    slider = (ui.strengthSlider, ui.strengthSlider)  # and its number
    for field in (ui.lightButton, ui.mediumButton, ui.fullButton, *slider, ui.runButton):
        press(focused(), qt.Qt.Key_Tab)
        assert focused() is field or field.isAncestorOf(focused()), field.objectName
    press(focused(), qt.Qt.Key_Return)
    assert panel.logic.busy and ui.runButton.text == "Cancel" and focused() is ui.runButton
    wait_until(lambda: not panel.logic.busy, PATIENCE)
    assert ui.messageFrame.isHidden(), ui.messageLabel.text
    slicer.util.getNode("Chest denoised")
    assert focused() is ui.runButton and ui.runButton.text == "Run"
    while focused() is not ui.inputViewButton:
        press(focused(), qt.Qt.Key_Tab)
        assert focused() is not ui.advancedSection, "Tab passed the result by"
    press(focused(), qt.Qt.Key_Space)
    assert ui.inputViewButton.checked
    press(focused(), qt.Qt.Key_Right)
    assert ui.resultViewButton.checked and focused() is ui.resultViewButton


def test_escape_on_cancel_cancels_and_elsewhere_does_not(opened):
    import qt

    panel = opened("Denoise")
    ui = panel.ui
    ui.runButton.setFocus()
    press(focused(), qt.Qt.Key_Space)
    assert panel.logic.busy
    ui.qualityBox.setFocus()
    press(focused(), qt.Qt.Key_Escape)
    assert panel.logic.busy and ui.runButton.enabled
    ui.runButton.setFocus()
    press(focused(), qt.Qt.Key_Escape)
    wait_until(lambda: not panel.logic.busy, PATIENCE)
    assert "Cancelled" in ui.messageLabel.text and focused() is ui.runButton, "the focus is where it was"


def test_escape_ends_place_ellipsoid(slicer, opened):
    import qt

    panel = opened("InpaintLesion")
    press(panel.ui.inputSection, qt.Qt.Key_P, qt.Qt.AltModifier)
    wait_until(lambda: panel.ui.placeButton.checked and panel.ui.placeWidget.placeModeEnabled, PATIENCE)
    press(panel.ui.placeButton, qt.Qt.Key_Escape)
    assert not panel.ui.placeButton.checked and not panel.ui.placeWidget.placeModeEnabled


def test_tab_leaves_the_table_of_findings_and_the_log(opened):
    import qt

    panel = opened("DetectAnomalies")
    ui = panel.ui
    ui.resultSection.visible = ui.findingsTable.visible = ui.logText.visible = True
    ui.findingsTable.setRowCount(3)
    for widget in (ui.findingsTable, ui.logText):
        widget.setFocus()
        press(focused(), qt.Qt.Key_Tab)
        assert focused() is not widget


def test_why_run_is_gray_is_read_without_a_mouse(opened):
    """What is wrong with the task's own settings stands above Run, not only in its tooltip."""
    panel = opened("InpaintLesion")
    assert not panel.ui.runButton.enabled and panel.ui.reasonLabel.isVisible()
    assert panel.ui.runButton.toolTip.split(".")[0] in panel.ui.reasonLabel.text
