"""The batch section of a panel: the task, with its present settings, over a folder of files (`meddiff-fm batch`)."""

import csv
import html
import os
from pathlib import Path

import qt
from slicer.i18n import tr as _

from MedDiffFMLib.parameters import TASKS

from ..failures import Failure
from ..logic import optionWords
from ..runner.backend import savedBackend
from ..runner.command import Command
from ..runner.job import sharedWorker
from ..toolkit import announcement as announce
from ..toolkit.tables import fillTable
from ..views.colors import warning
from .run import timeText

NAME = "{name}"
TABLE = "status.csv"  # that the batch keeps in the output folder


class BatchPart:
    """While it runs it is the one job of this Slicer, as a run is: two at once would not fit everywhere."""

    def __init__(self, ui, task, parameters, prepareRun, onBegin, onEnd):
        """task: its name; parameters: gives them as the panel shows them; ready: whether a run could begin, nothing
        else of the panel runs then; onBegin, onEnd: called when a batch has begun and ended, with what came of it.
        """
        self.ui, self._task, self._parameters, self._prepareRun = ui, task, parameters, prepareRun
        self._notifyBegin, self._notifyEnd = onBegin, onEnd
        self._command, self._rows, self._folderProblem = None, {}, (None, "")
        slots = TASKS[task].files
        inputs = [slot for slot in slots if not slot.output]
        self._maskSlot = inputs[1] if len(inputs) > 1 else None
        self._extraOutputs = [slot for slot in slots if slot.output][1:]
        labels = inputs[0].kind == "labels"
        self.ui.batchIntroLabel.text = _introduction(labels, self._maskSlot)
        self.ui.batchMaskLabel.visible = self.ui.batchMaskRow.visible = self._maskSlot is not None
        self.ui.batchRunButton.connect("clicked(bool)", self.onRun)
        self.ui.batchOpenButton.connect("clicked(bool)", self.onOpen)
        self.ui.batchInputButton.connect("clicked(bool)", lambda checked: self._choose(self.ui.batchInputEdit))
        self.ui.batchOutputButton.connect("clicked(bool)", lambda checked: self._choose(self.ui.batchOutputEdit))
        self.ui.batchMaskButton.connect("clicked(bool)", lambda checked: self._choose(self.ui.batchMaskEdit, NAME))

        for edit in (self.ui.batchInputEdit, self.ui.batchOutputEdit, self.ui.batchMaskEdit):
            edit.connect("textChanged(QString)", lambda text: self.update())
            edit.connect("editingFinished()", self.checkFolders)

    @property
    def running(self):
        return self._command is not None

    # what is chosen

    def _choose(self, edit, pattern=""):
        folder = qt.QFileDialog.getExistingDirectory(None, _("Choose a folder"), os.path.dirname(edit.text))
        if folder:
            edit.text = os.path.join(folder, f"{pattern}.nii.gz") if pattern else folder
            self.checkFolders()

    @property
    def _folders(self):
        """The folders of the inputs and for the results, as they are typed."""
        return self.ui.batchInputEdit.text.strip(), self.ui.batchOutputEdit.text.strip()

    def checkFolders(self):
        """Look at the folders on the disk: only once they are typed, or a server that does not answer would halt Slicer
        at each key.
        """
        source, target = self._folders
        if not os.path.isdir(source):
            found = _("Choose the folder with the inputs.")
        elif os.path.isfile(target) or os.path.realpath(source) == os.path.realpath(target):
            found = _("Choose another folder for the results.")
        else:
            found = ""
        self._folderProblem = ((source, target), found)
        self.ui.batchOpenButton.enabled = bool(target) and os.path.isdir(target)
        if not self.running:
            self._show(_savedRows(target) if target else {})
            self.ui.batchStatusLabel.text = f"{_countsText(self._rows)}." if self._rows else ""
        self.update()

    def problem(self):
        """Why no batch can be run now, in a sentence, or an empty text."""
        source, target = self._folders
        values = self._parameters()
        if not source:
            return _("Choose the folder with the inputs.")
        if not target or source == target:
            return _("Choose another folder for the results.")
        if self._folderProblem[0] == (source, target) and self._folderProblem[1]:
            return self._folderProblem[1]
        if self._maskSlot and NAME not in self.ui.batchMaskEdit.text:
            return _("Say where the lesion masks are: a path with {name} in place of the input's name.")
        if not isinstance(values.get("anatomy", ""), str):
            return _("A segmentation of the scene belongs to one CT: choose another anatomy under Input.")
        if not isinstance(values.get("roi", ""), str):
            return _("A box belongs to one CT: choose the whole volume under Input.")
        if savedBackend().remote:
            return _("A batch runs on this computer: choose Slicer's Python or another one under Advanced.")
        return announce.waitReason() if sharedWorker().job else ""

    def update(self):
        """Show what can be done now, and if not, why."""
        if self.running:
            self.ui.batchReasonLabel.visible = False
            return
        self.ui.batchOpenButton.enabled &= self._folderProblem[0] == self._folders
        problem = self.problem()
        again = any(status in ("failed", "cancelled", "waiting") for status, *_rest in self._rows.values())
        self.ui.batchRunButton.text = _("Run what is not done") if again else _("Run the batch")
        self.ui.batchRunButton.enabled = not problem
        self.ui.batchReasonLabel.text = warning(html.escape(problem)) if problem else ""
        self.ui.batchReasonLabel.visible = bool(problem)
        self.ui.batchRunButton.toolTip = problem or _("Start, or go on: what is done already is skipped.")

    def _arguments(self):
        """The command and its options."""
        source, target = self._folders
        words = ["batch", self._task, source, target, "--events", *optionWords(self._task, self._parameters())]
        if self._maskSlot:
            words += [f"--{self._maskSlot.name.replace('_', '-')}", self.ui.batchMaskEdit.text.strip()]
        for slot in self._extraOutputs:
            ending = "csv" if slot.kind == "table" else "nii.gz"
            words += [f"--{slot.name}", os.path.join(target, f"{NAME}-{slot.name}.{ending}")]
        return words

    # running

    def onRun(self, checked=False):
        if self.running:
            self.ui.batchRunButton.enabled = False
            self.ui.batchStatusLabel.text = _("Cancelling…")
            self._command.cancel()
            return
        self.checkFolders()
        if self.problem():
            self.ui.batchStatusLabel.text = html.escape(self.problem())
        else:
            self.start()

    def start(self):
        """Begin with the present settings, or go on where an earlier batch stopped."""
        if not self._prepareRun():
            return
        sharedWorker().end()  # its model would take memory beside the batch's own
        self._show({})
        try:
            self._command = Command(self._arguments(), self._onEvent, self._onEnd, savedBackend())
        except Failure as failure:
            self._onEnd(None, failure)
            return
        sharedWorker().job = self
        self.ui.batchRunButton.text, self.ui.batchRunButton.enabled = _("Cancel"), True
        self.ui.batchRunButton.toolTip = _("Stop. What is done stays, nothing is left half written.")
        self.ui.batchProgressBar.maximum, self.ui.batchProgressBar.visible = 0, True
        self.ui.batchStatusLabel.text = _("Starting…")
        self._notifyBegin()

    def abandon(self):
        """Stop the batch at once, without a word in the panel."""
        if self.running:
            self._command.abandon()
            self._command = None
            sharedWorker().job = None
            announce.end("")

    def _onEvent(self, event):
        if event["event"] == "entries":
            source = os.path.join(self.ui.batchInputEdit.text.strip(), "")  # known: a file's name says more
            for name, status, reason, summary in event["entries"]:
                self._rows[name] = (status, reason.replace(source, ""), summary)
            self._show(self._rows)
        elif event["event"] == "progress":
            self._showProgress(event)

    def _onEnd(self, code, failure):
        self._command = None
        if sharedWorker().job is self:
            sharedWorker().job = None
        self.ui.batchProgressBar.visible = False
        if failure and not (code == 1 and self._rows):  # 1 with a table: some of its files failed, and it says so
            lines = [failure.title, failure.message, failure.next]
            text = " ".join(line for line in lines if line)
        elif code is None:
            text = _("Cancelled: {counts}. Run it again to go on.").format(counts=_countsText(self._rows))
        else:
            text = f"{_countsText(self._rows)}."
        self.ui.batchStatusLabel.text = html.escape(text)
        self.ui.batchOpenButton.enabled = os.path.isdir(self._folders[1])
        self._notifyEnd(text)

    def onOpen(self, checked=False):
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(self.ui.batchOutputEdit.text.strip()))

    # the table

    def _showProgress(self, event):
        self.ui.batchProgressBar.maximum = 1000
        self.ui.batchProgressBar.value = round(1000 * event["fraction"])
        for row, name in enumerate(self._rows):
            if name in event["running"]:
                share = _("running, {share:.0%}").format(share=event["running"][name])
                self.ui.batchTable.item(row, 1).setText(share)
        parts = [_countsText(self._rows)]
        if event.get("seconds_left") is not None:
            parts.append(_("{time} left").format(time=timeText(event["seconds_left"])))
        if self.ui.batchRunButton.enabled:
            self.ui.batchStatusLabel.text = ", ".join(parts)
            announce.progress(", ".join(parts))

    def _show(self, rows):
        """rows: by name, status, reason and summary."""
        self._rows, states = rows, _states()
        headers = [_("File"), _("State"), _("Message")]
        cells = [(name, states.get(status, status), reason or words) for name, (status, reason, words) in rows.items()]
        fillTable(self.ui.batchTable, headers, cells)
        self.ui.batchTable.resizeRowsToContents()  # a message is read to its end
        self.ui.batchTable.visible = bool(rows)


def _introduction(labels, mask):
    what = _("label maps (segmentations saved as files)") if labels else _("CTs (NIfTI, NRRD, MHA, folders of DICOM)")
    text = _("The settings above, applied to every file of a folder of {what}.").format(what=what)
    if mask:
        text += " " + _("The mask of scan7.nii.gz is the file named below with scan7 in place of {name}.")
    return text


def _states():
    return {
        "waiting": _("waiting"),
        "done": _("done"),
        "skipped": _("done before"),
        "failed": _("failed"),
        "cancelled": _("cancelled"),
        "left out": _("left out"),
    }


def _countsText(rows):
    """The counts of a batch's table in words, for example: 3 of 5 done, 2 failed."""
    states = [status for status, *_rest in rows.values()]
    done = states.count("done") + states.count("skipped")
    text = _("{done} of {all} done").format(done=done, all=len(states) - states.count("left out"))
    failed = states.count("failed")
    return text + (_(", {failed} failed").format(failed=failed) if failed else "")


def _savedRows(folder):
    """The table that an earlier batch left in an output folder."""
    try:
        with open(Path(folder) / TABLE, newline="", encoding="utf-8") as file:
            return {row["name"]: (row["status"], row["reason"], row["summary"]) for row in csv.DictReader(file)}
    except (OSError, KeyError, ValueError, csv.Error):
        return {}
