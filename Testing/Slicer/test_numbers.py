"""Every number that a panel's widget can show is the same in parameter node, scene and the backend's parameters."""

from __future__ import annotations

import pytest
from test_denoise_panel import load_scene
from test_every_panel import PANELS

pytest.importorskip("slicer")

NUMBERS = ("QSpinBox", "QDoubleSpinBox", "ctkSliderWidget")


def numeric(panel):
    return {name: w for name, w in panel.bindings._bound.items() if w.className() in NUMBERS}


def values_of(widget):
    """Its ends, one step from each, and numbers of as many digits as it has room for."""
    low, high = widget.minimum, widget.maximum
    if widget.className() == "QSpinBox":
        wanted = [low, low + 1, high // 3, 1234567, 16777217, high - 1, high]
    else:
        least = 10.0**-widget.decimals
        wanted = [low, low + least, low + (high - low) / 3, high / 7, high - least, high]
    return [value for value in wanted if low <= value <= high]


@pytest.mark.parametrize("module", PANELS)
def test_every_number_goes_there_and_back(slicer, module, open_panel, tmp_path):
    from MedDiffFMLib.parameters import TASKS, split_values

    panel = open_panel(module)
    known = {field["name"] for field in TASKS[panel.logic.task].describe()}
    for name, widget in numeric(panel).items():
        for wanted in values_of(widget):
            widget.value = wanted
            shown, text = widget.value, panel.bindings.value(name)
            assert text == "" if shows_a_word(widget) else float(text) == shown, name
            if name in known and text:
                task, _common = split_values(TASKS[panel.logic.task], {name: text})
                assert getattr(task, name) == shown, name
            widget.value = widget.minimum if shown != widget.minimum else widget.maximum
            panel.bindings.node.SetParameter(name, text)
            assert widget.value == shown, f"{name}: {shown} came back from “{text}” as {widget.value}"
    last = {name: widget.value for name, widget in numeric(panel).items()}
    assert last["seed"] == 2147483647
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    load_scene(slicer, tmp_path / "scene.mrb")
    assert {name: widget.value for name, widget in numeric(panel).items()} == last


def shows_a_word(widget):
    return bool(getattr(widget, "specialValueText", "")) and widget.value == widget.minimum
