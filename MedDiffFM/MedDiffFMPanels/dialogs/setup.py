"""The set-up dialog: the packages to install, their sizes and their folder. Nothing is installed before *Install*."""

import sys
import sysconfig

import qt
import slicer
from slicer.i18n import tr as _

from ..runner import environment, setup_obstacles
from ..toolkit.resources import RESOURCES


def offerSetUp(parent=None):
    """Show the dialog until it is closed. Returns whether all packages are installed then."""
    dialog = SetUpDialog(parent)
    dialog.widget.exec_()
    dialog.widget.deleteLater()
    return not environment.missing()


class SetUpDialog:
    """The dialog; `widget` is its QDialog."""

    def __init__(self, parent=None):
        self.widget = slicer.util.loadUI(str(RESOURCES / "UI" / "MedDiffFMSetUp.ui"))
        if parent is not None:
            self.widget.setParent(parent, qt.Qt.Dialog)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.ui.installButton.connect("clicked(bool)", lambda checked: self.install())
        self.ui.closeButton.connect("clicked(bool)", lambda checked: self.widget.reject())
        self.ui.fasterBox.connect("toggled(bool)", lambda checked: self.show())
        self.ui.folderButton.connect("clicked(bool)", lambda checked: self._chooseFolder())
        self.show()

    def show(self):
        """List the packages with their states."""
        packages, needed = environment.packages(), self._toInstall()
        faster = [package for package in environment.optionalPackages() if package.state != "ready"]
        self.ui.fasterBox.visible = bool(faster)
        rows = "".join(
            f"<tr><td>{p.name}&nbsp;&nbsp;</td><td>{p.version or '–'}&nbsp;&nbsp;</td><td>{_stateText(p)}</td></tr>"
            for p in packages
        )
        self.ui.packagesLabel.text = f"<table>{rows}</table>"
        obstacle = setup_obstacles.obstacle([package.name for package in needed])
        self.ui.installButton.enabled = bool(needed) and obstacle is None
        self.ui.introLabel.text = obstacle.text if obstacle else _introduction(needed)

    def install(self):
        """Install the missing packages and those chosen, and close the dialog if that worked."""
        needed = [package.name for package in self._toInstall()]
        self.ui.installButton.enabled = False
        try:
            environment.install(needed, self.ui.folderEdit.text.strip(), self._showStatus)
            self._showStatus(_("Done."))
            self.widget.accept()
        except RuntimeError as error:
            self._showStatus(_("{error} Click Install to try again; installed packages are kept.").format(error=error))
        self.show()

    def _toInstall(self):
        """The packages that Install would install: what is missing, and what makes the tasks faster if it is chosen."""
        offered = environment.optionalPackages() if self.ui.fasterBox.checked else []
        return [package for package in [*environment.packages(), *offered] if package.state != "ready"]

    def _showStatus(self, text):
        self.ui.statusLabel.text = text
        slicer.app.processEvents()

    def _chooseFolder(self):
        folder = qt.QFileDialog.getExistingDirectory(self.widget, _("Folder with wheels"))
        if folder:
            self.ui.folderEdit.text = folder


def _introduction(needed):
    """Sentences on what would be installed and where, and what may go wrong."""
    if not needed:
        return _("All packages are installed.")
    size = sum(package.megabytes for package in needed)
    amount = f"{size / 1000:.1f} GB" if size >= 1000 else f"{size} MB"
    text = _(
        "The tasks need these packages in Slicer's Python ({python}). Up to about {amount} would be downloaded "
        "into {folder}. Slicer's own packages stay as they are."
    ).format(python=sys.version.split()[0], amount=amount, folder=sysconfig.get_paths()["purelib"])
    return " ".join([text, *setup_obstacles.warnings(needed)])


def _stateText(package):
    states = {
        "ready": _("ready"),
        "missing": _("missing, about {mb} MB").format(mb=package.megabytes),
        "half installed": _("half installed: will be repaired"),
        "too old or too new": _("does not fit: will be replaced"),
    }
    if package.name in environment.SLICERS_OWN and package.state == "too old or too new":
        return _("does not fit, and is Slicer's own")
    return states[package.state]
