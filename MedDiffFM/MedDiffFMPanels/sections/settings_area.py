"""The upper part of a panel, Input and the task's own section, which scrolls by itself where the window is low: what
follows it, Run first of all, stays in sight.
"""

import qt

MIN_HEIGHT = 200  # pixels of the area that are always there


class SettingsArea(qt.QObject):
    """Keeps a scroll area as tall as what is in it, or as tall as there is room for. Keep it as long as the area."""

    def __init__(self, area):
        qt.QObject.__init__(self)
        self._area, self._contents = area, area.widget()
        column = area.parentWidget().layout()
        column.setStretch(column.indexOf(area), 1)  # it alone gives way, and grows up to its own height
        self._contents.installEventFilter(self)
        area.installEventFilter(self)
        self._fit()

    def eventFilter(self, watched, event):
        about = qt.QEvent.LayoutRequest if watched == self._contents else qt.QEvent.Resize
        if event.type() == about:
            self._fit()
        return False

    def _fit(self):
        layout, area = self._contents.layout(), self._area
        bar = area.style().pixelMetric(qt.QStyle.PM_ScrollBarExtent)
        width = area.width - bar  # always: else the bar stays, once it is there, for what it narrows itself
        tall = layout.totalHeightForWidth(width) if layout.hasHeightForWidth() else layout.totalSizeHint().height()
        area.minimumHeight = min(tall, MIN_HEIGHT)
        area.maximumHeight = tall
        area.minimumWidth = layout.totalMinimumSize().width() + bar
