"""The findings in a panel: controls of the threshold that take effect at once, and a table of findings."""

import csv
import time

import qt
import slicer
from slicer.i18n import tr as _

from MedDiffFMLib.tasks.threshold import BRIGHTER, DARKER

from ..scene.findings import Rule
from ..scene.findings_nodes import (
    COLORS,
    Crosshair,
    FindingsNodes,
    automaticRule,
    colorMap,
    hasColors,
    kindText,
    setOpacity,
    showOver,
)
from ..toolkit.bindings import fillCombo
from ..views.colors import quiet, readableName

INTERVAL = 30  # ms between two polls
FIRST_TURN_SECONDS, TURN_SECONDS = 0.1, 0.03  # how long a poll may work; small maps are done in the first
MAX_THRESHOLD = 2000.0  # HU, of the slider before a map is known
ROWS = 100  # of the panel's table; the table node has all


class FindingsPart:
    """The findings of the map that the parameter node refers to as `anomalyMap`."""

    def __init__(self, ui, bindings):
        self.ui, self._bindings = ui, bindings
        self._nodes, self._shownRule, self._generator, self.findings = None, None, None, []
        self._polling, self._crosshair = False, Crosshair()
        sides = [("both", _("Brighter and darker")), ("brighter", _("Brighter only")), ("darker", _("Darker only"))]
        fillCombo(self.ui.sidesBox, sides)
        self._timer = qt.QTimer()
        self._timer.setInterval(INTERVAL)
        self._timer.connect("timeout()", lambda: self._poll(TURN_SECONDS))
        table = self.ui.findingsTable
        table.connect("cellClicked(int,int)", lambda row, column: self.jump(row))
        table.connect("currentCellChanged(int,int,int,int)", lambda row, *rest: self.jump(row))
        self.ui.autoThresholdButton.connect("clicked(bool)", self.onAutomatic)
        self.ui.saveTableButton.connect("clicked(bool)", self.onSave)
        self._showTable()

    @property
    def nodes(self):
        """The `FindingsNodes` of the map, or None."""
        return self._nodes

    def show(self, mapNode, source):
        """Show a new map in color over its CT, with its own threshold and findings."""
        node, automatic = self._bindings.node, automaticRule(mapNode)
        self._leave()
        before = node.StartModify()
        node.SetParameter("findingThreshold", f"{automatic.limit:.1f}")
        node.SetNodeReferenceID("anomalyMap", mapNode.GetID())
        node.EndModify(before)
        showOver(mapNode, source, self._opacity)
        self.update()

    def update(self):
        """Apply changed settings or nodes."""
        if self._polling:  # this change is our own: the update adds nodes
            return
        mapNode = self._bindings.chosenNode("anomalyMap")
        if mapNode is None or mapNode.GetImageData() is None:
            self._leave()
            return
        if self._nodes is None or self._nodes.map is not mapNode:
            self._nodes, self._shownRule = FindingsNodes(mapNode), None
            if not hasColors(mapNode):
                colorMap(mapNode)
            limit = automaticRule(mapNode).limit
            self.ui.thresholdSlider.maximum = max(100.0, 10 * limit, float(self._bindings.value("findingThreshold")))
            self.ui.resultSection.visible = True
        setOpacity(mapNode, self._opacity)
        rule = self._rule(mapNode)
        deleted = self._generator is None and (self._nodes.segmentation is None or self._nodes.table is None)
        if rule != self._shownRule or deleted:
            self._begin(rule)

    def _leave(self):
        self._crosshair.restore()
        if self._nodes is not None:
            self._timer.stop()
            self._nodes = self._shownRule = self._generator = None
            self.ui.thresholdSlider.maximum = MAX_THRESHOLD
            self.ui.resultSection.visible = False

    @property
    def _opacity(self):
        return float(self._bindings.value("overlayOpacity") or 0) / 100

    def _rule(self, mapNode):
        value, sides = self._bindings.value, self._bindings.value("sides")
        return Rule(
            automaticRule(mapNode).center,
            float(value("findingThreshold")),
            sides != "darker",
            sides != "brighter",
            float(value("min_volume") or 0),
        )

    # updating the nodes

    def _begin(self, rule):
        """Start to update segmentation, table and text by a rule."""
        isNew, self._shownRule, self._generator = self._shownRule is None, rule, self._nodes.applyRule(rule)
        self._timer.stop()
        if not isNew:  # a new map waits until the views have drawn it
            self._poll(FIRST_TURN_SECONDS)
        if self._generator is not None:
            self.ui.findingsLabel.text = quiet(_("Counting…"))
            self._timer.start()

    def _poll(self, seconds):
        """Work for so many seconds at most, unless the map or the scene is gone."""
        if self._generator is None or self._nodes.map is None or self._bindings.node is None:
            self._timer.stop()
            return
        until, self._polling = time.monotonic() + seconds, True
        try:
            while time.monotonic() < until:
                next(self._generator)
        except StopIteration as end:
            self._timer.stop()
            self._generator = None
            self._end(*end.value)
        finally:
            self._polling = False

    def _end(self, findings, smaller):
        self.findings = findings
        self.ui.findingsLabel.text = findingsText(findings, smaller, self._shownRule)
        self._showTable()

    # the table

    def _showTable(self):
        table, shown = self.ui.findingsTable, self.findings[:ROWS]
        table.blockSignals(True)
        headers = [_("Looks"), _("Volume"), _("Size (mm)"), _("Differs"), _("Score")]
        table.setColumnCount(len(headers))
        table.setHorizontalHeaderLabels(headers)
        for column, text in enumerate(_headerToolTips()):
            table.horizontalHeaderItem(column).setToolTip(text)
        table.verticalHeader().setDefaultSectionSize(24)
        table.verticalHeader().setVisible(False)
        table.setRowCount(len(shown))
        for row, finding in enumerate(shown):
            for column, text in enumerate(_cells(finding)):
                item = qt.QTableWidgetItem(text)
                side = qt.Qt.AlignLeft if column == 0 else qt.Qt.AlignRight
                item.setTextAlignment(side | qt.Qt.AlignVCenter)
                if column == 0:
                    item.setForeground(qt.QBrush(qt.QColor(colorName(finding.kind))))
                table.setItem(row, column, item)
        table.setCurrentCell(-1, -1)
        table.resizeColumnsToContents()
        table.blockSignals(False)
        table.visible = self.ui.saveTableButton.visible = bool(shown)

    def jump(self, row):
        """Center all slice views at the finding of a row."""
        if 0 <= row < len(self.findings):
            self._crosshair.jumpTo(self.findings[row].peak)

    def leave(self):
        """Remove the crosshair and the table's selection; called when the panel is left."""
        self._crosshair.restore()
        self.ui.findingsTable.setCurrentCell(-1, -1)

    def onAutomatic(self, checked=False):
        """Set the threshold that the task computed."""
        if self._nodes and self._nodes.map:
            self.ui.thresholdSlider.value = automaticRule(self._nodes.map).limit

    def onSave(self, checked=False):
        path = qt.QFileDialog.getSaveFileName(
            slicer.util.mainWindow(), _("Save the findings"), "findings.csv", _("Table (*.csv)")
        )
        if path:
            try:
                saveTable(self._nodes.table, path)
            except OSError as error:
                text = _("The table could not be saved: {error}. Choose another folder.").format(error=error)
                slicer.util.errorDisplay(text)


def saveTable(tableNode, path):
    """Write a table node as CSV with the names of its columns."""
    table = tableNode.GetTable()
    columns = [table.GetColumn(number) for number in range(table.GetNumberOfColumns())]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(column.GetName() for column in columns)
        for row in range(table.GetNumberOfRows()):
            writer.writerow(_csvText(column.GetValue(row)) for column in columns)


def colorName(kind):
    """The color of BRIGHTER or DARKER as #rrggbb, readable as text."""
    return readableName(COLORS[kind])


def _headerToolTips():
    """The tooltips of the table's headers."""
    return (
        _("Brighter or darker than the model expects."),
        _("Volume of the finding."),
        _("Extent along the three axes of the scan, slices last."),
        _("Mean difference in HU from the organ's own level."),
        _("Difference times volume: it orders the findings and is not a probability."),
    )


def _csvText(value):
    return value if isinstance(value, str) else f"{value:g}"


def _cells(finding):
    """The texts of a finding's row."""
    return (
        kindText(finding.kind),
        f"{finding.volumeMl:.1f} ml" if finding.volumeMl >= 1 else f"{finding.volumeMl:.2f} ml",
        " × ".join(f"{mm:.0f}" for mm in finding.sizeMm),
        f"{finding.meanHU:+.0f} HU",
        f"{finding.score:.0f}",
    )


def findingsText(findings, smaller, rule):
    """Rich text on the number, kinds and volume of the findings. smaller: the number of parts that are not listed."""
    if not findings:
        text = _("<b>No findings</b> from {hu:.0f} HU on.").format(hu=rule.limit)
    else:
        number = _("1 finding") if len(findings) == 1 else _("{n} findings").format(n=len(findings))
        sides = [
            f"{sum(finding.kind == kind for finding in findings)} <span style='color:{colorName(kind)}'>"
            f"<b>{kindText(kind)}</b></span>"
            for kind in (BRIGHTER, DARKER)
        ]
        text = _("<b>{number}</b>: {sides}, {ml:.1f} ml in all.").format(
            number=number, sides=", ".join(sides), ml=sum(finding.volumeMl for finding in findings)
        )
        if len(findings) > ROWS:
            text += " " + _("The first {n} are listed.").format(n=ROWS)
    if smaller:
        ignored = _("Spots under {ml:g} ml, not listed: {n}.").format(n=smaller, ml=rule.smallestMl)
        text += "<br/>" + quiet(ignored)
    return text
