"""Every task's parameters and files, once: the command line, the worker, batches and Slicer's panels all read them
here. Standard library only.
"""

from .base import FileSlot, Parameters, parameter
from .common import ANATOMY_FILE, REGION_NAMES, CommonParameters
from .denoise import DenoiseParameters
from .super_resolve import SuperResolveParameters

TASKS: dict[str, type[Parameters]] = {
    "denoise": DenoiseParameters,
    "super-resolve": SuperResolveParameters,
}

__all__ = [
    "ANATOMY_FILE",
    "REGION_NAMES",
    "TASKS",
    "CommonParameters",
    "DenoiseParameters",
    "FileSlot",
    "Parameters",
    "SuperResolveParameters",
    "parameter",
]
