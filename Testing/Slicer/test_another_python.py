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
    from MedDiffFMPanels.runner.backend import Backend, saveBackend

    widget = open_panel("MedDiffFMDenoise")
    widget.ui.advancedSection.collapsed = False
    yield widget
    saveBackend(Backend())


def test_it_can_be_chosen(slicer, panel, tmp_path):
    from MedDiffFMPanels.runner.backend import Backend, savedBackend

    ui, program = panel.ui, tmp_path / "python"
    assert ui.backendChooseButton.isHidden()
    choose(ui.backendBox, "python")
    slicer.app.processEvents()
    assert not ui.backendChooseButton.isHidden()
    harness.dialogs.choose_file(str(program), "")
    click(ui.backendChooseButton)
    assert savedBackend() == Backend("python", str(program)) and ui.backendEdit.text == str(program)
    click(ui.backendChooseButton)  # and changed one's mind
    assert savedBackend().python == str(program)
    choose(ui.backendBox, "command")
    assert ui.backendChooseButton.isHidden()


def test_the_home_folder_may_be_short(slicer, tmp_path, monkeypatch):
    from MedDiffFMPanels.runner.backend import Backend

    (tmp_path / "python").symlink_to(sys.executable)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Backend("python", "~/python").arguments()[0] == str(tmp_path / "python")
