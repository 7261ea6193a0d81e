"""Slicer's light and dark style: the colors of qSlicerStyle::standardLightPalette and ::standardDarkPalette."""

from __future__ import annotations

from contextlib import contextmanager

from PySide6 import QtGui, QtWidgets

LIGHT = {
    "Window": "#ffffff",
    "WindowText": "#000000",
    "Base": "#ffffff",
    "AlternateBase": "#e4e4fe",
    "ToolTipBase": "#ffffdc",
    "ToolTipText": "#000000",
    "Text": "#000000",
    "PlaceholderText": "#808080",
    "Button": "#fcfcfc",
    "ButtonText": "#000000",
    "Light": "#c8c8c8",
    "Midlight": "#e6e6e6",
    "Dark": "#aaaaaa",
    "Mid": "#c8c8c8",
    "Shadow": "#5a5a5a",
    "Highlight": "#308cc6",
    "HighlightedText": "#ffffff",
    "Link": "#0000ff",
}
DARK = LIGHT | {
    "Window": "#323232",
    "WindowText": "#ffffff",
    "Base": "#1e1e1e",
    "AlternateBase": "#323232",
    "ToolTipBase": "#ffffff",
    "ToolTipText": "#323232",
    "Text": "#ffffff",
    "PlaceholderText": "#c0c0c0",
    "Button": "#323232",
    "ButtonText": "#ffffff",
    "Light": "#828284",
    "Midlight": "#5a5a5b",
    "Dark": "#232323",
    "Mid": "#2b2b2b",
    "Shadow": "#141414",
    "Highlight": "#3ca4ff",
    "Link": "#3ca4ff",
}
DISABLED = {
    "light": {"WindowText": "#bebebe", "Text": "#bebebe", "ButtonText": "#bebebe", "Highlight": "#919191"},
    "dark": {"WindowText": "#6d6d6d", "Text": "#6d6d6d", "ButtonText": "#b4b4b4", "Highlight": "#505050"},
}


@contextmanager
def slicer_style(name: str):
    """ "light" or "dark" for all widgets, until the end of the block."""
    before = QtWidgets.QApplication.palette()
    palette = QtGui.QPalette()
    for role, color in {"light": LIGHT, "dark": DARK}[name].items():
        palette.setColor(getattr(QtGui.QPalette, role), QtGui.QColor(color))
    for role, color in DISABLED[name].items():
        palette.setColor(QtGui.QPalette.Disabled, getattr(QtGui.QPalette, role), QtGui.QColor(color))
    QtWidgets.QApplication.setPalette(palette)
    try:
        yield
    finally:
        QtWidgets.QApplication.setPalette(before)
