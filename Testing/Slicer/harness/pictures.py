"""A picture as a user of Slicer sees it: the module's panel beside the four views."""

from __future__ import annotations

import numpy as np

PANEL_WIDTH = 430
PLACES = {"Red": (0, 0), "3D": (0, 1), "Green": (1, 0), "Yellow": (1, 1)}


def screenshot(widget, path, size=(1300, 820), views=PLACES) -> None:
    """A PNG of the panel of `widget` and of `views` ("Red", "Green", "Yellow", "3D"), each at its (row, column)."""
    import qt
    import slicer

    window = qt.QWidget()
    window.resize(*size)
    columns = qt.QHBoxLayout(window)
    left = qt.QVBoxLayout()
    columns.addLayout(left, 0)
    left.addWidget(qt.QLabel(widget.parent.windowTitle))
    widget.parent.resize(PANEL_WIDTH, size[1] - 60)
    slicer.app.processEvents()
    left.addWidget(_picture(qt, widget.parent.grab()))
    left.addStretch(1)
    grid = qt.QGridLayout()
    columns.addLayout(grid, 1)
    side = (size[1] - 60) // 2
    manager = slicer.app.layoutManager()
    for name, place in views.items():
        view = manager.threeDWidget(0) if name == "3D" else manager.sliceWidget(name)
        pixels = np.ascontiguousarray(view.grab())
        height, width = pixels.shape[:2]
        image = qt.QImage(pixels.data, width, height, width * 3, qt.QImage.Format_RGB888)
        grid.addWidget(_picture(qt, qt.QPixmap.fromImage(image).scaled(side, side)), *place)
    window.show()
    slicer.app.processEvents()
    if not window.grab().save(str(path)):
        raise OSError(f"cannot write {path}")
    window.hide()
    window.deleteLater()


def _picture(qt, pixmap):
    label = qt.QLabel()
    label.setPixmap(pixmap)
    return label
