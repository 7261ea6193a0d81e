"""The dialog of the models on this computer: list, verify, add a folder, download from the Hugging Face Hub, remove."""

import qt
import slicer
from slicer.i18n import tr as _

from MedDiffFMLib.models import store as model_store

from ..failures import Failure
from ..runner.backend import Backend, savedBackend
from ..runner.command import Command
from ..runner.job import sharedWorker
from ..toolkit.resources import RESOURCES
from ..toolkit.tables import fillTable
from ..toolkit.timer_loop import TimerLoop
from .model_copy import copyModel, readRecord


def manageModels(parent=None):
    """Show the dialog until it is closed."""
    dialog = ModelsDialog(parent)
    dialog.widget.exec_()
    dialog.widget.deleteLater()


class ModelsDialog:
    """The dialog; `widget` is its QDialog. One action runs at a time, downloads and checksums in another process."""

    def __init__(self, parent=None):
        self.widget = slicer.util.loadUI(str(RESOURCES / "UI" / "MedDiffFMModels.ui"))
        if parent is not None:
            self.widget.setParent(parent, qt.Qt.Dialog)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self._command, self._copyLoop, self._models, self._states = None, None, [], {}
        self.ui.addButton.connect("clicked(bool)", lambda checked: self._chooseFolder())
        self.ui.verifyButton.connect("clicked(bool)", lambda checked: self.verify())
        self.ui.removeButton.connect("clicked(bool)", lambda checked: self.remove())
        self.ui.downloadButton.connect("clicked(bool)", lambda checked: self.download())
        self.ui.closeButton.connect("clicked(bool)", lambda checked: self.widget.accept())
        self.ui.hubEdit.connect("textChanged(QString)", lambda text: self._showButtons())
        self.ui.modelTable.connect("itemSelectionChanged()", self._showButtons)
        self.widget.connect("finished(int)", lambda result: self.stop())
        self.ui.whereLabel.text = _("Your own models are in {folder}.").format(folder=model_store.data_folder())
        self.show()

    @property
    def busy(self):
        """Whether an action is running."""
        return self._command is not None or self._copyLoop is not None

    # the list

    def show(self):
        """List the installed models."""
        self._models = model_store.installed()
        rows = []
        for model in self._models:
            state, license = _stateOf(model.folder)
            state = self._states.get(model.folder, state)
            rows.append((nameOf(model), _sourceText(model), f"{_megabytes(model.folder)} MB", state, license))
        fillTable(self.ui.modelTable, [_("Model"), _("From"), _("Size"), _("State"), _("License")], rows)
        self._showButtons()

    def _showButtons(self):
        model, free = self._chosen(), not self.busy
        removable = model is not None and model.source != "bundled"
        self.ui.removeButton.enabled, self.ui.verifyButton.enabled = removable and free, model is not None and free
        self.ui.removeButton.toolTip = _("Remove the chosen model from this computer.")
        if model is not None and not removable:
            self.ui.removeButton.toolTip = _(
                "This model came with the program and cannot be removed, so that every task keeps working."
            )
        self.ui.addButton.enabled = self.ui.hubEdit.enabled = free
        self.ui.downloadButton.text = _("Cancel") if self._command else _("Download")
        isHubId = model_store.HUB_ID.fullmatch(self.ui.hubEdit.text.strip()) is not None
        self.ui.downloadButton.enabled = self._command is not None or (free and isHubId)

    def _chosen(self):
        row = self.ui.modelTable.currentRow()
        return self._models[row] if 0 <= row < len(self._models) else None

    # actions

    def remove(self):
        """Ask, then remove the chosen model."""
        name = nameOf(self._chosen())
        question = _("Remove the model “{name}” from this computer?").format(name=name)
        if slicer.util.confirmOkCancelDisplay(question, _("Remove a model")):
            if sharedWorker().job is None:
                sharedWorker().end()  # it may have the file open
            try:
                model_store.remove(model_store.own_folder(name))
                self._showStatus(_("“{name}” was removed.").format(name=name))
            except (OSError, ValueError) as error:
                self._showStatus(str(error))
        self.show()

    def add(self, folder):
        """Copy a model folder to the user's own models, while Slicer stays responsive."""

        def end(name, error):
            self._copyLoop = None
            self._endProgress()
            self._showStatus(str(error) if error else _("“{name}” was added.").format(name=name))
            self.show()

        self._beginProgress(_("Copying, and comparing the checksum…"))
        self._copyLoop = TimerLoop(copyModel(folder, model_store.data_folder() / "models"), end)
        self._showButtons()

    def verify(self):
        """Compare the chosen model's files with their checksums."""
        model = self._chosen()

        def end(code, failure):
            self._states[model.folder] = _("verified") if code == 0 else _("damaged") if failure else _("not verified")
            self._showStatus(
                _("“{name}” is complete.").format(name=nameOf(model)) if code == 0 else _failureText(failure)
            )

        self._start(["models", "verify", str(model.folder)], _("Comparing checksums…"), end)

    def download(self):
        """Download the model of the Hub whose id was typed; during a command, cancel it."""
        if self._command:
            self._showStatus(_("Cancelling…"))
            self._command.cancel()
            return
        name = self.ui.hubEdit.text.strip()

        def end(code, failure):
            if code == 0:
                self._showStatus(_("“{name}” was downloaded and verified.").format(name=name))
            else:
                kept = _("Cancelled. The complete files are kept: click Download to continue.")
                self._showStatus(_failureText(failure) if failure else kept)

        self._start(["models", "download", name, "--events"], _("Asking the Hugging Face Hub…"), end)

    def stop(self):
        """End what is running; called when the dialog is closed."""
        if self._command:
            self._command.abandon()
        if self._copyLoop:
            self._copyLoop.stop()
        self._command = self._copyLoop = None

    def _chooseFolder(self):
        folder = qt.QFileDialog.getExistingDirectory(self.widget, _("A model's folder"))
        if folder:
            self.add(folder)

    # a command and its progress

    def _start(self, words, text, onEnd):
        def end(code, failure):
            self._command = None
            self._endProgress()
            onEnd(code, failure)
            self.show()

        self._beginProgress(text)
        backend = savedBackend()
        try:
            self._command = Command(words, self._onEvent, end, Backend() if backend.remote else backend)
        except Failure as failure:
            end(None, failure)
        self._showButtons()

    def _onEvent(self, event):
        if event["event"] == "verifying":
            self._beginProgress(_("Comparing checksums…"))
        elif event["event"] == "progress" and event.get("fraction") is not None:
            self.ui.progressBar.maximum, self.ui.progressBar.value = 1000, round(1000 * event["fraction"])
            megabytes = {"done": event["done"] / 1e6, "total": event["total"] / 1e6}
            self._showStatus(_("{done:.1f} of {total:.1f} MB").format(**megabytes))

    def _beginProgress(self, text):
        self.ui.progressBar.maximum, self.ui.progressBar.visible = 0, True
        self._showStatus(text)

    def _endProgress(self):
        self.ui.progressBar.visible = False
        self.ui.progressBar.maximum, self.ui.progressBar.value = 1000, 0

    def _showStatus(self, text):
        self.ui.statusLabel.text = text


def nameOf(model):
    """The name of an installed model: OWNER/NAME for one of the Hub, else its folder's."""
    return model.source[len("hub:") :].split("@")[0] if model.source.startswith("hub:") else model.folder.name


def _sourceText(model):
    texts = {"bundled": _("came with the program"), "user": _("your own")}
    return texts.get(model.source, _("the Hugging Face Hub"))


def _stateOf(folder):
    """(state, license) of a model folder, from its config.json and without reading the weights."""
    try:
        record = readRecord(folder)
    except ValueError:
        return _("damaged: remove it"), ""
    whole = (folder / "model.safetensors").is_file()
    return (_("ready") if whole else _("incomplete: download it again")), str(record.get("licence", ""))


def _megabytes(folder):
    return round(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6, 1)


def _failureText(failure):
    return " ".join(part for part in (failure.message, failure.next) if part) if failure else _("Cancelled.")
