"""The folder of the shared .ui files, icons and pictures, and a function that loads a panel from them."""

from pathlib import Path

import slicer

RESOURCES = Path(__file__).resolve().parents[1] / "Resources"


def loadPanel(taskFile):
    """Load the shared panel with a task's own .ui and the batch section in it. Returns the root widget and `ui`, which
    has all widgets as attributes.
    """
    files = (RESOURCES / "UI" / "MedDiffFMPanel.ui", taskFile, RESOURCES / "UI" / "MedDiffFMBatch.ui")
    root, task, batch = (slicer.util.loadUI(str(file)) for file in files)
    ui = slicer.util.childWidgetVariables(root)
    for part in (task, batch):
        for name, widget in vars(slicer.util.childWidgetVariables(part)).items():
            setattr(ui, name, widget)
    ui.taskSection.layout().addWidget(task)
    root.layout().insertWidget(root.layout().count() - 1, batch)  # above the spacer at the end
    root.setMRMLScene(slicer.mrmlScene)
    task.setMRMLScene(slicer.mrmlScene)
    return root, ui
