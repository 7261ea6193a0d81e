"""3D Slicer's scripted modules on its real core (slicer-core) and real Qt widgets (PySide6), without the application.

slicer = harness.start()                      # the tests' fixture `slicer` does it
widget = harness.open_module("Module.py")     # the module's widget object: widget.ui, widget.logic, widget.parent
harness.click(widget.ui.applyButton)
harness.wait_until(lambda: not widget.logic.busy)
"""

from . import dialogs, packaged_python, packages
from .core import start
from .gestures import click, click_in_slice, delete_now, press, type_text, wait_until, without_main_window
from .module_panel import SIZE_ON_A_LAPTOP, in_sight
from .modules import close_module, enter_module, leave_module, open_module
from .painting import paint_ball
from .palettes import slicer_style
from .pictures import screenshot

__all__ = [
    "SIZE_ON_A_LAPTOP",
    "click",
    "click_in_slice",
    "close_module",
    "delete_now",
    "dialogs",
    "enter_module",
    "in_sight",
    "leave_module",
    "open_module",
    "packaged_python",
    "packages",
    "paint_ball",
    "press",
    "screenshot",
    "slicer_style",
    "start",
    "type_text",
    "wait_until",
    "without_main_window",
]
