"""Every task's parameters and files, once: the command line, the worker, batches and Slicer's panels all read them
here. Standard library only.
"""

from .base import FileSlot, Parameters, parameter
from .common import ANATOMY_FILE, ANATOMY_WORDS, REGION_NAMES, CommonParameters
from .denoise import DenoiseParameters

TASKS: dict[str, type[Parameters]] = {"denoise": DenoiseParameters}

__all__ = [
    "ANATOMY_FILE",
    "ANATOMY_WORDS",
    "REGION_NAMES",
    "TASKS",
    "CommonParameters",
    "DenoiseParameters",
    "FileSlot",
    "Parameters",
    "parameter",
]
