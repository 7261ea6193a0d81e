"""A picture as a user of Slicer sees it on a laptop: the module's panel beside the views, 1366 × 768."""

from __future__ import annotations

import numpy as np

from .module_panel import SIZE_ON_A_LAPTOP

SCREEN = (1366, 768)
ABOVE = 74  # the window's title, menus and toolbars, which are not drawn
GAP = 6
PLACES = {"Red": (0, 0), "3D": (0, 1), "Green": (1, 0), "Yellow": (1, 1)}


def screenshot(widget, path, views=PLACES) -> None:
    """A PNG of the panel of `widget`, as high as on a laptop, and of `views` ("Red", "Green", "Yellow", "3D"), each at
    its (row, column), with the text of the status bar below.
    """
    import qt
    import slicer

    panel = widget.parent.window()
    panel.resize(SIZE_ON_A_LAPTOP)
    settle_layout()
    window = qt.QWidget()
    window.setFixedSize(*SCREEN)
    _at(window, qt.QLabel(f"{widget.parent.windowTitle}   (menus and toolbars are not drawn)"), GAP, ABOVE // 2 - 8)
    _at(window, _picture(panel.grab()), 0, ABOVE)
    left, rows = SIZE_ON_A_LAPTOP.width() + GAP, 1 + max(row for row, _ in views.values())
    columns = 1 + max(column for _, column in views.values())
    width = (SCREEN[0] - left) // columns - GAP
    height = SIZE_ON_A_LAPTOP.height() // rows - GAP
    for name, (row, column) in views.items():
        picture = _picture(_of_view(name, width, height))
        _at(window, picture, left + column * (width + GAP), ABOVE + row * (height + GAP))
    _at(window, qt.QLabel(slicer.util.mainWindow().statusBar().currentMessage()), GAP, SCREEN[1] - 40)
    window.show()
    slicer.app.processEvents()
    if not window.grab().save(str(path)):
        raise OSError(f"cannot write {path}")
    window.hide()
    window.deleteLater()


def settle_layout() -> None:
    """Let layouts follow what was shown or hidden: each turn lays out one level of scroll areas and wrapped labels."""
    import slicer

    for _ in range(6):
        slicer.app.processEvents()


def _of_view(name, width, height):
    import qt
    import slicer

    manager = slicer.app.layoutManager()
    view = manager.threeDWidget(0) if name == "3D" else manager.sliceWidget(name)
    view.resize_to(width, height)
    pixels = np.ascontiguousarray(view.grab())
    height, width = pixels.shape[:2]
    return qt.QPixmap.fromImage(qt.QImage(pixels.data, width, height, width * 3, qt.QImage.Format_RGB888))


def _at(window, label, x, y):
    label.setParent(window)
    label.move(x, y)


def _picture(pixmap):
    import qt

    label = qt.QLabel()
    label.setPixmap(pixmap)
    return label
