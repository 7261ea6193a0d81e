"""Every text of the panels can be read in Slicer's light and dark style: 4.5:1 at least, computed here anew."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from panels import add_chest

pytest.importorskip("slicer")
from harness import slicer_style

PANELS = Path(__file__).parents[2] / "MedDiffFM"
GROUNDS = {"light": ("ffffff", "e4e4fe"), "dark": ("323232", "1e1e1e")}  # windows, tables and their other rows


def luminance(rgb: str) -> float:
    parts = [int(rgb[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ratio(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_ratio_is_that_of_the_standard():
    """Black on white 21, and what the panels had: #b04a00 and gray on Slicer's dark window."""
    assert ratio("000000", "ffffff") == pytest.approx(21)
    assert ratio("b04a00", "323232") == pytest.approx(2.3, abs=0.1)
    assert ratio("808080", "323232") == pytest.approx(3.2, abs=0.1)


@pytest.mark.parametrize("style", ["light", "dark"])
def test_colored_words_are_readable(slicer, style):
    from MedDiffFMLib.tasks.threshold import BRIGHTER, DARKER
    from MedDiffFMPanels.sections.findings import colorName
    from MedDiffFMPanels.views.colors import quiet, warning

    with slicer_style(style):
        colors = [re.search("#([0-9a-f]{6})", text)[1] for text in (quiet("a"), warning("a"))]
        colors += [colorName(kind).removeprefix("#") for kind in (BRIGHTER, DARKER)]
    for color in colors:
        for ground in GROUNDS[style]:
            assert ratio(color, ground) >= 4.5, (color, ground)
    assert len({*colors}) == 4, "orange, blue and gray can be distinguished"


def test_brighter_stays_orange_and_darker_blue(slicer):
    from MedDiffFMLib.tasks.threshold import BRIGHTER, DARKER
    from MedDiffFMPanels.sections.findings import colorName

    for style in ("light", "dark"):
        with slicer_style(style):
            red, _, blue = (int(colorName(BRIGHTER)[place : place + 2], 16) for place in (1, 3, 5))
            assert red > blue
            red, _, blue = (int(colorName(DARKER)[place : place + 2], 16) for place in (1, 3, 5))
            assert blue > red


def test_no_color_is_written_into_a_panel():
    """A color that fits one style does not fit the other: all come from looks.py."""
    for path in [*PANELS.rglob("*.py"), *PANELS.rglob("*.ui")]:
        assert not re.findall(r"color:\s*[#a-z]", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("style", ["light", "dark"])
def test_a_panel_in_a_style(slicer, open_panel, style):
    """All colored words of a panel that says what its input is, and of one that says what is wrong with it."""
    with slicer_style(style):
        add_chest()
        panel = open_panel("MedDiffFMDenoise")
        texts = [panel.ui.inputLabel.text]
        panel.ui.inputSelector.setCurrentNode(None)
        texts.append(panel.ui.inputLabel.text)
        for text in texts:
            (color,) = re.findall("color:#([0-9a-f]{6})", text)
            assert min(ratio(color, ground) for ground in GROUNDS[style]) >= 4.5


def test_the_notice_is_no_small_print(slicer):
    """That a result is not for diagnosis stands in the text's own color."""
    for path in (PANELS / "MedDiffFMPanels" / "tasks").glob("*.py"):
        assert "quiet(notice)" not in path.read_text(encoding="utf-8"), path
