"""3D Slicer's scripted modules on Slicer's real core (slicer-core) and real Qt widgets (PySide6), without the application.

slicer = harness.start()                      # the tests' fixture `slicer` does it
widget = harness.open_module("….py")          # its ScriptedLoadableModuleWidget; widget.ui, widget.logic, widget.parent
harness.click(widget.ui.applyButton)
harness.wait_until(lambda: not widget.logic.busy)
"""

from .application import close_module, open_module, start
from .gestures import click, press, type_text, wait_until
from .pictures import screenshot

__all__ = ["click", "close_module", "open_module", "press", "screenshot", "start", "type_text", "wait_until"]
