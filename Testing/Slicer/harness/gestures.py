"""What a user's hands do: clicks, keys, waiting."""

from __future__ import annotations

import time


def click(widget) -> None:
    """Left mouse button in the middle of a widget."""
    import qt

    qt.QTest.mouseClick(widget, qt.Qt.LeftButton)


def press(widget, key, modifiers=None) -> None:
    """One key, as `qt.Qt.Key_Space`."""
    import qt

    qt.QTest.keyClick(widget, key, *([modifiers] if modifiers is not None else []))


def type_text(widget, text: str) -> None:
    import qt

    qt.QTest.keyClicks(widget, text)


def wait_until(condition, seconds: float = 30.0) -> None:
    """Let the event loop run until condition() holds; AssertionError after `seconds`."""
    import slicer

    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"still not so after {seconds} s: {getattr(condition, '__name__', condition)}"
        slicer.app.processEvents()
        time.sleep(0.005)
