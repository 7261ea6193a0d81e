"""Models on this computer: list them, add a folder, download one, remove one's own."""

import qt
import slicer
from slicer.i18n import tr as _

from MedDiffFMLib import model_store


def manageModels(parent=None):
    ModelsDialog(parent).widget.exec_()


class ModelsDialog:
    """`widget` is the QDialog."""

    def __init__(self, parent=None):
        from .panel import RESOURCES

        self.widget = slicer.util.loadUI(str(RESOURCES / "UI" / "MedDiffFMModels.ui"))
        if parent is not None:
            self.widget.setParent(parent, qt.Qt.Dialog)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.ui.addButton.connect("clicked(bool)", lambda checked: self._chooseFolder())
        self.ui.removeButton.connect("clicked(bool)", lambda checked: self.remove())
        self.ui.closeButton.connect("clicked(bool)", lambda checked: self.widget.accept())
        self.ui.modelList.connect("currentRowChanged(int)", lambda row: self._showButtons())
        self.ui.whereLabel.text = _("Your own models are in {folder}.").format(
            folder=model_store.data_folder() / "models"
        )
        self.show()

    def show(self):
        self._found = model_store.installed()
        self.ui.modelList.clear()
        for found in self._found:
            self.ui.modelList.addItem(f"{found.folder.name}  ({_source(found)}, {_megabytes(found.folder)} MB)")
        self._showButtons()

    def _showButtons(self):
        found = self._chosen()
        own = found is not None and found.source == "user"
        self.ui.removeButton.enabled = own
        self.ui.removeButton.toolTip = "" if own else _("Only models of your own can be removed.")

    def _chosen(self):
        row = self.ui.modelList.currentRow
        return self._found[row] if 0 <= row < len(self._found) else None

    def remove(self):
        """Remove the chosen model after a question."""
        name = self._chosen().folder.name
        question = _("Remove the model “{name}” from this computer?").format(name=name)
        if slicer.util.confirmOkCancelDisplay(question, _("Remove a model")):
            model_store.remove(model_store.own_folder(name))
            self._tell(_("“{name}” was removed.").format(name=name))
        self.show()

    def add(self, folder):
        """Copy a model folder to the user's own ones."""
        from .model_copy import copyModel

        try:
            name = copyModel(folder, model_store.data_folder() / "models")
            self._tell(_("“{name}” was added.").format(name=name))
        except (OSError, ValueError) as error:
            self._tell(str(error))
        self.show()

    def _chooseFolder(self):
        folder = qt.QFileDialog.getExistingDirectory(self.widget, _("A model's folder"))
        if folder:
            self.add(folder)

    def _tell(self, text):
        self.ui.statusLabel.text = text


def _source(found):
    words = {"bundled": _("came with the program"), "user": _("your own")}
    return words.get(found.source, _("downloaded"))


def _megabytes(folder):
    return round(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6)
