"""A user's last choices, kept for the next scene and the next start of Slicer: device, model, each task's quality.

A scene that holds its own settings keeps them. Only what a hand has chosen is remembered, not what a scene brought.
"""

import slicer

from .bindings import PROPERTY

GROUP = "MedDiffFM/"  # in Slicer's settings
SHARED_BOXES, TASK_BOXES = ("deviceBox", "modelBox"), ("qualityBox",)


class Preferences:
    def __init__(self, ui, bindings, task):
        """Take over what is remembered, and remember what is chosen from now on."""
        self._bindings, self._keys = bindings, {}
        for boxes, group in ((SHARED_BOXES, GROUP), (TASK_BOXES, f"{GROUP}{task}/")):
            for name in boxes:
                if hasattr(ui, name):
                    self._keys[name] = (getattr(ui, name), group + name.removesuffix("Box"))
        for box, key in self._keys.values():
            box.connect("activated(int)", lambda index, box=box, key=key: self._remember(box, key))
        self.applyDefaults()

    def applyDefaults(self):
        """Make what is remembered the default where the scene says nothing, unless it is a model that is gone."""
        for box, key in self._keys.values():
            text = slicer.app.userSettings().value(key)
            if text is not None and box.findData(str(text)) >= 0:
                self._bindings.setDefault(box.property(PROPERTY), str(text))

    def _remember(self, box, key):
        slicer.app.userSettings().setValue(key, str(box.currentData or ""))
