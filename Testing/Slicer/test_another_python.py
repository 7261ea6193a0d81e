"""Where it runs, another Python: chosen in a dialog, or typed with the home folder as ~."""

from __future__ import annotations

import sys

import pytest
from panel_run import choose

pytest.importorskip("slicer")
import harness
from harness import click


@pytest.fixture
def panel(slicer, open_panel):
    from MedDiffFMPanels.runner.backend import Place, savePlace

    widget = open_panel("MedDiffFMDenoise")
    widget.ui.advancedSection.collapsed = False
    yield widget
    savePlace(Place())


def test_it_can_be_chosen(slicer, panel, tmp_path):
    from MedDiffFMPanels.runner.backend import Place, savedPlace

    ui, program = panel.ui, tmp_path / "python"
    assert ui.placeChooseButton.isHidden()
    choose(ui.placeBox, "python")
    slicer.app.processEvents()
    assert not ui.placeChooseButton.isHidden()
    harness.dialogs.choose_file(str(program), "")
    click(ui.placeChooseButton)
    assert savedPlace() == Place("python", str(program)) and ui.placeEdit.text == str(program)
    click(ui.placeChooseButton)  # and changed one's mind
    assert savedPlace().python == str(program)
    choose(ui.placeBox, "command")
    assert ui.placeChooseButton.isHidden()


def test_the_home_folder_may_be_short(slicer, tmp_path, monkeypatch):
    from MedDiffFMPanels.runner.backend import Place

    (tmp_path / "python").symlink_to(sys.executable)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Place("python", "~/python").arguments()[0] == str(tmp_path / "python")
