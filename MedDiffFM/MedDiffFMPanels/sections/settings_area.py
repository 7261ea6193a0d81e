"""The scroll area around the sections Input and Task, which scrolls in a low window so that Run stays in sight."""

import qt

MIN_HEIGHT = 200  # pixels


class SettingsArea(qt.QObject):
    """Keeps a scroll area as tall as its contents, or as the available space. The caller keeps a reference to it."""

    def __init__(self, area):
        qt.QObject.__init__(self)
        self._area, self._contents = area, area.widget()
        column = area.parentWidget().layout()
        column.setStretch(column.indexOf(area), 1)  # only the area shrinks, and it grows up to its contents' height
        self._contents.installEventFilter(self)
        area.installEventFilter(self)
        self._fit()

    def eventFilter(self, watched, event):
        relevant = qt.QEvent.LayoutRequest if watched == self._contents else qt.QEvent.Resize
        if event.type() == relevant:
            self._fit()
        return False

    def _fit(self):
        """Set the area's minimum and maximum size by its contents."""
        layout, area = self._contents.layout(), self._area
        barWidth = area.style().pixelMetric(qt.QStyle.PM_ScrollBarExtent)
        width = area.width - barWidth  # always, or a bar that was shown once would stay because it narrows the contents
        height = layout.totalHeightForWidth(width) if layout.hasHeightForWidth() else layout.totalSizeHint().height()
        area.minimumHeight = min(height, MIN_HEIGHT)
        area.maximumHeight = height
        area.minimumWidth = layout.totalMinimumSize().width() + barWidth
