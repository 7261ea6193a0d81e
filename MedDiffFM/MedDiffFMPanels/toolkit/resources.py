"""Where the .ui files, icons and pictures that the panels share lie, and a panel made of them."""

from pathlib import Path

import slicer

RESOURCES = Path(__file__).resolve().parents[1] / "Resources"


def loadPanel(taskFile):
    """The shared panel with a task's own .ui and the batch inside: its root widget, and every widget by its name."""
    files = (RESOURCES / "UI" / "MedDiffFMPanel.ui", taskFile, RESOURCES / "UI" / "MedDiffFMBatch.ui")
    root, own, batch = (slicer.util.loadUI(str(file)) for file in files)
    ui = slicer.util.childWidgetVariables(root)
    for part in (own, batch):
        for name, widget in vars(slicer.util.childWidgetVariables(part)).items():
            setattr(ui, name, widget)
    ui.taskSection.layout().addWidget(own)
    root.layout().insertWidget(root.layout().count() - 1, batch)  # above the space at the end
    root.setMRMLScene(slicer.mrmlScene)
    own.setMRMLScene(slicer.mrmlScene)
    return root, ui
