"""The batch section of a panel: it applies the task with its present settings to a folder (`meddiff-fm batch`)."""

import csv
import html
import os
from pathlib import Path

import qt
from slicer.i18n import tr as _

from MedDiffFMLib.parameters import TASKS

from ..failures import Failure
from ..runner.backend import savedBackend
from ..runner.command import Command
from ..runner.job import sharedWorker
from ..scene.command_line import optionWords
from ..toolkit import announcement as announce
from ..toolkit.tables import fillTable
from ..views.colors import warning
from .run import timeText

NAME = "{name}"
TABLE = "status.csv"  # the batch's table in the output folder


class BatchPart:
    """The batch section. A running batch is the one job of this Slicer, since memory may not suffice for two."""

    def __init__(self, ui, task, parameters, prepareRun, onBegin, onEnd):
        """task: its name. parameters: returns the parameters that the panel shows. prepareRun: stops other jobs of the
        panel and returns whether a run can begin. onBegin: called when a batch has begun. onEnd: called at its end with
        a sentence on the outcome.
        """
        self.ui, self._task, self._parameters, self._prepareRun = ui, task, parameters, prepareRun
        self._notifyBegin, self._notifyEnd = onBegin, onEnd
        self._command, self._rows = None, {}
        self._folderProblem = (None, "")  # (folders, sentence) of the last check
        slots = TASKS[task].files
        inputs = [slot for slot in slots if not slot.output]
        self._maskSlot = inputs[1] if len(inputs) > 1 else None
        self._extraOutputs = [slot for slot in slots if slot.output and not slot.on_request][1:]
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
        """Whether a batch is running."""
        return self._command is not None

    # what is chosen

    def _choose(self, edit, pattern=""):
        """Let the user choose a folder, and write it, or a pattern of files in it, into an edit."""
        folder = qt.QFileDialog.getExistingDirectory(None, _("Choose a folder"), os.path.dirname(edit.text))
        if folder:
            edit.text = os.path.join(folder, f"{pattern}.nii.gz") if pattern else folder
            self.checkFolders()

    @property
    def _folders(self):
        """The folders of the inputs and of the results, as typed."""
        return self.ui.batchInputEdit.text.strip(), self.ui.batchOutputEdit.text.strip()

    def checkFolders(self):
        """Check the folders on the disk, and show the table of an earlier batch.

        Called when typing is finished: a server that does not answer would block Slicer at each key.
        """
        source, target = self._folders
        if not os.path.isdir(source):
            problem = _("Choose the folder with the inputs.")
        elif os.path.isfile(target) or os.path.realpath(source) == os.path.realpath(target):
            problem = _("Choose another folder for the results.")
        else:
            problem = ""
        self._folderProblem = ((source, target), problem)
        self.ui.batchOpenButton.enabled = bool(target) and os.path.isdir(target)
        if not self.running:
            self._show(_savedRows(target) if target else {})
            self.ui.batchStatusLabel.text = f"{_countsText(self._rows)}." if self._rows else ""
        self.update()

    def problem(self):
        """A sentence on why no batch can run now, or an empty text."""
        source, target = self._folders
        values = self._parameters(ofAnyInput=True)
        if not source:
            return _("Choose the folder with the inputs.")
        if not target or source == target:
            return _("Choose another folder for the results.")
        if self._folderProblem[0] == (source, target) and self._folderProblem[1]:
            return self._folderProblem[1]
        if self._maskSlot and NAME not in self.ui.batchMaskEdit.text:
            return _("Enter where the lesion masks are: a path with {name} in place of the input's name.")
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
        self.ui.batchRunButton.toolTip = problem or _(
            "Start the batch, or continue it: results that exist are skipped."
        )

    def _arguments(self):
        """The arguments of `meddiff-fm` for this batch."""
        source, target = self._folders
        options = optionWords(self._task, self._parameters(ofAnyInput=True))
        words = ["batch", self._task, source, target, "--events", *options]
        if self._maskSlot:
            words += [f"--{self._maskSlot.name.replace('_', '-')}", self.ui.batchMaskEdit.text.strip()]
        for slot in self._extraOutputs:
            ending = "csv" if slot.kind == "table" else "nii.gz"
            words += [f"--{slot.name}", os.path.join(target, f"{NAME}-{slot.name}.{ending}")]
        return words

    # running

    def onRun(self, checked=False):
        """Run the batch, or cancel the running one."""
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
        """Start the batch with the present settings; results of an earlier one are kept."""
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
        self.ui.batchRunButton.toolTip = _("Stop the batch. Finished results stay, and nothing is left half written.")
        self.ui.batchProgressBar.maximum, self.ui.batchProgressBar.visible = 0, True
        self.ui.batchStatusLabel.text = _("Starting…")
        self._notifyBegin()

    def abandon(self):
        """Stop the batch at once, without a message in the panel."""
        if self.running:
            self._command.abandon()
            self._command = None
            sharedWorker().job = None
            announce.end("")

    def _onEvent(self, event):
        if event["event"] == "entries":
            source = os.path.join(self._folders[0], "")  # left out of the reasons, which it makes long
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
        if failure and not (code == 1 and self._rows):  # code 1 with rows: some files failed, as the table shows
            lines = [failure.title, failure.message, failure.next]
            text = " ".join(line for line in lines if line)
        elif code is None:
            text = _("Cancelled: {counts}. Run it again to continue.").format(counts=_countsText(self._rows))
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
                state = _("running, {fraction:.0%}").format(fraction=event["running"][name])
                self.ui.batchTable.item(row, 1).setText(state)
        parts = [_countsText(self._rows)]
        if event.get("seconds_left") is not None:
            parts.append(_("{time} left").format(time=timeText(event["seconds_left"])))
        if self.ui.batchRunButton.enabled:
            self.ui.batchStatusLabel.text = ", ".join(parts)
            announce.progress(", ".join(parts))

    def _show(self, rows):
        """Show the table. rows: {file: (status, reason, summary)}."""
        self._rows, states = rows, _states()
        headers = [_("File"), _("State"), _("Message")]
        cells = [
            (name, states.get(status, status), reason or summary) for name, (status, reason, summary) in rows.items()
        ]
        fillTable(self.ui.batchTable, headers, cells)
        self.ui.batchTable.resizeRowsToContents()  # so that messages are shown in full
        self.ui.batchTable.visible = bool(rows)


def _introduction(labels, maskSlot):
    """The text that introduces the section. labels: whether the inputs are label maps. maskSlot: the slot of lesion
    masks, or None.
    """
    inputs = _("label maps (segmentations saved as files)") if labels else _("CTs (NIfTI, NRRD, MHA, folders of DICOM)")
    text = _("Apply the settings above to every file of a folder of {inputs}.").format(inputs=inputs)
    if maskSlot:
        text += " " + _("The mask of scan7.nii.gz is the file named below with scan7 in place of {name}.")
    return text


def _states():
    """The texts of the states in the table."""
    return {
        "waiting": _("waiting"),
        "done": _("done"),
        "skipped": _("done before"),
        "failed": _("failed"),
        "cancelled": _("cancelled"),
        "left out": _("left out"),
    }


def _countsText(rows):
    """The counts of a batch's table, for example: 3 of 5 done, 2 failed."""
    states = [status for status, *_rest in rows.values()]
    done = states.count("done") + states.count("skipped")
    text = _("{done} of {all} done").format(done=done, all=len(states) - states.count("left out"))
    failed = states.count("failed")
    return text + (_(", {failed} failed").format(failed=failed) if failed else "")


def _savedRows(folder):
    """The rows of the table that an earlier batch left in an output folder, or none."""
    try:
        with open(Path(folder) / TABLE, newline="", encoding="utf-8") as file:
            return {row["name"]: (row["status"], row["reason"], row["summary"]) for row in csv.DictReader(file)}
    except (OSError, KeyError, ValueError, csv.Error):
        return {}
