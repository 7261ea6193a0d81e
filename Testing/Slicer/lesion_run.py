"""What the tests of the two lesion panels share."""

from __future__ import annotations

import json

import numpy as np
from patience import PATIENCE
from tiny_model import save_tiny_controls, save_tiny_model


def save_model_with_controls(home):
    """The only model of a user's folder: "tiny", with a ControlNet for lesions; 16³ windows, three steps."""
    tiny = save_tiny_model(home / "models" / "tiny", patch=16)
    config = json.loads((tiny / "config.json").read_text())
    config["tasks"] = {"inpaint-lesion": {"spacing_mm": None, "steps": 3, "resample": 2}}
    (tiny / "config.json").write_text(json.dumps(config))
    save_tiny_controls(tiny)


def mask_of(lesion, grid) -> np.ndarray:
    import slicer

    return slicer.util.arrayFromSegmentBinaryLabelmap(lesion, lesion.GetSegmentation().GetNthSegmentID(0), grid) > 0


def wait_for_button(panel, enabled=True):
    from harness import wait_until

    wait_until(lambda: panel.ui.runButton.enabled == enabled, PATIENCE)
