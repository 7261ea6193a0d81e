"""The Advanced section of a panel: model, device, backend, system and set-up."""

import qt
import slicer
from slicer.i18n import tr as _

from MedDiffFMLib.worker.protocol import PROTOCOL

from ..failures import Failure, otherVersion
from ..runner import environment
from ..runner.backend import Backend, saveBackend, savedBackend
from ..runner.job import Job, sharedWorker
from ..toolkit import announcement as announce
from ..toolkit.bindings import fillCombo

HELLO_SECONDS = 180  # includes the first import of PyTorch from a slow disk


class AdvancedPart:
    """The controls of the Advanced section."""

    def __init__(self, ui, stopEstimate, onChange, showMessage):
        """stopEstimate: stops a running estimate. onChange: called when the backend or the packages have changed.
        showMessage: called with a sentence for the user.
        """
        self.ui, self._stopEstimate, self._onChange, self._showMessage = ui, stopEstimate, onChange, showMessage
        self._hello, self._helloJob = None, None  # the worker's answer to “hello”, and the job that asks for it
        fillCombo(
            ui.deviceBox, [("auto", _("Automatic")), ("cuda", _("Graphics card (GPU)")), ("cpu", _("Processor (CPU)"))]
        )
        self.listModels()
        backends = [("slicer", _("Slicer's Python")), ("python", _("Another Python")), ("command", _("A command"))]
        fillCombo(ui.backendBox, backends)
        self._showBackend(savedBackend())
        ui.backendBox.connect("currentIndexChanged(int)", self._onBackendKind)
        ui.backendEdit.connect("editingFinished()", self._onBackendEdit)
        ui.backendChooseButton.connect("clicked(bool)", self._onChoosePython)
        ui.testButton.connect("clicked(bool)", self.onTest)
        ui.setupButton.connect("clicked(bool)", self.onSetUp)
        ui.modelsButton.connect("clicked(bool)", self.onModels)
        ui.systemLabel.text = _("Click Test, or run once, to see device, memory and model.")

    # the backend

    @property
    def backend(self):
        """The backend in Slicer's settings."""
        return savedBackend()

    def _showBackend(self, backend):
        """Show a backend in the controls."""
        self._busy = True
        self.ui.backendBox.setCurrentIndex(self.ui.backendBox.findData(backend.kind))
        self.ui.backendEdit.text = {"python": backend.python, "command": backend.command}.get(backend.kind, "")
        placeholders = {
            "python": _("Path of a Python that has the packages"),
            "command": _("ssh host meddiff-fm worker"),
        }
        self.ui.backendEdit.placeholderText = placeholders.get(backend.kind, "")
        hasText = backend.kind != "slicer"
        self.ui.backendChooseButton.visible = backend.kind == "python"
        self.ui.backendRowLabel.visible = self.ui.backendRow.visible = self.ui.backendEdit.visible = hasText
        self.ui.setupButton.enabled = backend.kind == "slicer"
        self._busy = False

    def _onBackendKind(self, index):
        if not self._busy:
            old = savedBackend()
            self._saveBackend(Backend(self.ui.backendBox.currentData, old.python, old.command))

    def _onChoosePython(self, checked=False):
        path = qt.QFileDialog.getOpenFileName(None, _("Choose a Python"), self.ui.backendEdit.text)
        if path:
            self.ui.backendEdit.text = path
            self._onBackendEdit()

    def _onBackendEdit(self):
        old, text = savedBackend(), self.ui.backendEdit.text.strip()
        if old.kind == "python":
            self._saveBackend(Backend(old.kind, text, old.command))
        elif old.kind == "command":
            self._saveBackend(Backend(old.kind, old.python, text))

    def _saveBackend(self, backend):
        """Save and show a backend; if it is another one, what the worker said of itself is forgotten."""
        changed = backend != savedBackend()
        if changed:
            saveBackend(backend)
            self._hello = None
        self._showBackend(backend)
        if changed:
            self._onChange()

    def onTest(self, checked=False):
        """Start the worker and show its device, memory and models."""
        self.ui.testButton.enabled = False
        self._showSystem(_("Starting…"))

        def end(hello, failure):
            self.ui.testButton.enabled = True
            self._showHello(hello, failure)

        try:
            self._ask(end)
        except Failure as failure:
            end(None, failure)

    @property
    def askingHello(self):
        """Whether a “hello” job is running."""
        return self._helloJob is not None

    def askForModelOnce(self):
        """Ask a running, idle worker for its device and models, unless they are known."""
        if self._hello is None and sharedWorker().pid is not None and sharedWorker().job is None:
            self._ask(self._showHello)

    def cancelHello(self):
        """Abandon a “hello” job, so that a run can start."""
        if self._helloJob is not None:
            self._helloJob.abandon(keepWorker=True)
            self._helloJob, self.ui.testButton.enabled = None, True

    def _ask(self, onEnd):
        """Start a “hello” job; Failure if the worker is busy."""

        def prepare(folder, backend):
            yield from ()  # a generator, as `Job` expects
            return {"request": "hello"}

        def finish(event, folder):
            yield from ()
            return event

        def end(hello, failure):
            self._helloJob = None
            onEnd(hello, failure)

        job = Job(prepare, finish, None, end, self.backend, HELLO_SECONDS)
        job.start()
        self._helloJob = job

    def _showHello(self, hello, failure):
        """Show the answer to “hello”, or why there is none."""
        self._hello = hello
        if hello and hello.get("protocol", PROTOCOL) != PROTOCOL:
            reason = _("The worker speaks protocol {its}, and this panel {ours}.")
            reason = reason.format(its=hello["protocol"], ours=PROTOCOL)
            self._showHello(None, otherVersion(reason))
        elif hello:
            self._showSystem(systemText(hello))
        elif failure:
            self._showSystem(f"{failure.title} {failure.message} {failure.next}")

    def showModelAndDevice(self, provenance):
        """Show what a run was computed with, and on a CPU the worker's advice on how to use a GPU."""
        computed, model = provenance.get("computed", {}), provenance.get("model", {})
        versions = provenance.get("versions", {})
        self._showSystem(
            _("{device}, {precision}; model {model}; PyTorch {torch}").format(
                device=_("processor (CPU)") if computed.get("device") == "cpu" else computed.get("device", "?"),
                precision=computed.get("precision", "?"),
                model=model.get("name", "?"),
                torch=versions.get("torch", "?"),
            )
        )
        advice = (self._hello or {}).get("system", {}).get("advice")
        if advice and computed.get("device") == "cpu":
            self._showSystem(f"{self.ui.systemLabel.text}. {advice}")

    def _showSystem(self, text):
        self.ui.systemLabel.text = text

    # packages and models

    def ensurePackages(self):
        """Whether all packages are installed; if not, the set-up dialog is shown first."""
        if self.backend.kind != "slicer" or not environment.missing():
            return True
        return self.onSetUp()

    def onSetUp(self, checked=False):
        """Show the set-up dialog. Returns whether all packages are installed."""
        from ..dialogs.setup import offerSetUp

        self._stopEstimate()
        self.cancelHello()
        if sharedWorker().job is not None:  # a run needs the worker and its packages
            self._showMessage(announce.waitReason())
            return False
        sharedWorker().end()
        self._hello = None
        complete = offerSetUp(slicer.util.mainWindow())
        if complete:
            self._showMessage(_("All packages are installed. Click Run."))
        self._onChange()
        return complete

    def listModels(self):
        """Fill the selector of models."""
        from MedDiffFMLib.models.store import installed

        from ..dialogs.models import nameOf

        chosen, names = self.ui.modelBox.currentData, {}
        for model in installed():
            fromHub = model.source.startswith("hub:")  # its key has the commit, so that it is exactly this model
            names[model.source.removeprefix("hub:") if fromHub else model.folder.name] = nameOf(model)
        fillCombo(self.ui.modelBox, [("", _("The best one installed")), *names.items()])
        self.ui.modelBox.setCurrentIndex(max(0, self.ui.modelBox.findData(chosen)))

    def onModels(self, checked=False):
        from ..dialogs.models import manageModels

        manageModels(slicer.util.mainWindow())
        self.listModels()


def systemText(hello):
    """A line on device, memory, PyTorch and models, with advice if the GPU is not used."""
    system = hello.get("system", {})
    parts = [system.get("gpu") or hello.get("device", "")]
    if system.get("gpu_memory_gb"):
        parts.append(_("{gb} GB on it").format(gb=system["gpu_memory_gb"]))
    if system.get("memory_gb"):
        parts.append(_("{gb} GB memory").format(gb=system["memory_gb"]))
    if system.get("torch"):
        parts.append(f"PyTorch {system['torch']}")
    parts.append(_("models: {names}").format(names=", ".join(hello.get("models", [])) or _("none")))
    advice = system.get("advice", "")
    return ", ".join(part for part in parts if part) + (f". {advice}" if advice else "")
