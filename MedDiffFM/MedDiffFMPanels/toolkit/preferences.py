"""The user's last choices of device, model and each task's quality, kept for new scenes and the next start of Slicer.

A scene that holds its own settings keeps them. Only choices that the user made are remembered, not those of a loaded
scene.
"""

import slicer

from .bindings import PROPERTY

GROUP = "MedDiffFM/"  # in Slicer's settings
SHARED_BOXES, TASK_BOXES = ("deviceBox", "modelBox"), ("qualityBox",)


class Preferences:
    """Applies the remembered choices as defaults, and remembers new ones."""

    def __init__(self, ui, bindings, task):
        self._bindings, self._keys = bindings, {}
        for boxes, group in ((SHARED_BOXES, GROUP), (TASK_BOXES, f"{GROUP}{task}/")):
            for name in boxes:
                if hasattr(ui, name):
                    self._keys[name] = (getattr(ui, name), group + name.removesuffix("Box"))
        for box, key in self._keys.values():
            box.connect("activated(int)", lambda index, box=box, key=key: self._remember(box, key))
        self.applyDefaults()

    def applyDefaults(self):
        """Make the remembered choices the defaults of this scene, except models that are no longer installed."""
        for box, key in self._keys.values():
            text = slicer.app.userSettings().value(key)
            if text is not None and box.findData(str(text)) >= 0:
                self._bindings.setDefault(box.property(PROPERTY), str(text))

    def _remember(self, box, key):
        slicer.app.userSettings().setValue(key, str(box.currentData or ""))
