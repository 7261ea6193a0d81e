"""A Slicer-like window for screenshots: module panel on the left, Red / 3D / Green / Yellow on the right (grabbed from the offscreen views)."""

import numpy as np


def screenshot(widget, path, size=(1300, 820), slices=("Red", "Green", "Yellow"), threed=True):
    import qt
    import slicer

    lm = slicer.app.layoutManager()
    win = qt.QWidget()
    win.resize(*size)
    h = qt.QHBoxLayout(win)
    left = qt.QVBoxLayout()
    h.addLayout(left, 0)
    title = qt.QLabel("  3D Slicer (harness)  -  " + widget.parent.windowTitle)
    left.addWidget(title)
    panel = qt.QLabel()
    widget.parent.resize(430, size[1] - 60)
    slicer.app.processEvents()
    panel.setPixmap(widget.parent.grab())
    left.addWidget(panel)
    grid = qt.QGridLayout()
    h.addLayout(grid, 1)
    views = [("Red", 0, 0), ("3D", 0, 1), ("Green", 1, 0), ("Yellow", 1, 1)]
    side = (size[1] - 60) // 2
    for name, r, c in views:
        if (name == "3D" and not threed) or (name != "3D" and name not in slices):
            continue
        v = lm.threeDWidget(0) if name == "3D" else lm.sliceWidget(name)
        a = np.ascontiguousarray(v.grab())
        im = qt.QImage(a.data, a.shape[1], a.shape[0], a.shape[1] * 3, qt.QImage.Format_RGB888)
        l = qt.QLabel()
        l.setPixmap(qt.QPixmap.fromImage(im).scaled(side, side))
        grid.addWidget(l, r, c)
    win.show()
    slicer.app.processEvents()
    win.grab().save(str(path))
    win.hide()
