"""What a user's hands do: clicks, keys, waiting."""

from __future__ import annotations

import time
from contextlib import contextmanager


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


def wait_until(condition, seconds: float = 120.0) -> None:
    """Let the event loop run until condition() holds; AssertionError after `seconds`."""
    import slicer

    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"still not so after {seconds} s: {getattr(condition, '__name__', condition)}"
        slicer.app.processEvents()
        time.sleep(0.005)


def delete_now() -> None:
    """Delete the objects that got `deleteLater()`: that waits for the event loop, which a test is outside."""
    import qt

    qt.QCoreApplication.sendPostedEvents(None, 52)  # QEvent::DeferredDelete


def click_in_slice(name: str, ras) -> None:
    """A left click in the slice view `name` at world RAS (mm), through the real interactor: places a markups point
    when the application is in place mode. The view must show that position."""
    import slicer

    view = slicer.app.layoutManager().sliceWidget(name)
    x, y = view.position_of(ras)
    interactor = view.interactor
    view.grab()
    for event in ("EnterEvent", "MouseMoveEvent", "LeftButtonPressEvent", "LeftButtonReleaseEvent"):
        interactor.SetEventInformation(x, y, 0, 0, "\0", 0, None)
        interactor.InvokeEvent(event)
    slicer.app.processEvents()


@contextmanager
def without_main_window():
    """slicer.app.layoutManager() and slicer.util.mainWindow() are None, as with Slicer --no-main-window."""
    import slicer

    layout, slicer.app._layout = slicer.app._layout, None
    slicer.app._window.objectName = ""
    try:
        yield
    finally:
        slicer.app._layout = layout
        slicer.app._window.objectName = "qSlicerMainWindow"
