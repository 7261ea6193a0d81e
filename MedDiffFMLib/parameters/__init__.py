"""Every task's parameters and files, once: the command line, the worker, batches and Slicer's panels all read them
here. Standard library only.
"""

from .base import FileSlot, Parameters, parameter
from .common import ANATOMY_FILE, ANATOMY_WORDS, REGION_NAMES, CommonParameters, describe_task, split_values
from .denoise import DenoiseParameters
from .detect_anomalies import DetectAnomaliesParameters
from .lesions import GenerateLesionParameters, InpaintLesionParameters
from .super_resolve import SuperResolveParameters
from .synthesize import SynthesizeParameters

TASKS: dict[str, type[Parameters]] = {
    "denoise": DenoiseParameters,
    "detect-anomalies": DetectAnomaliesParameters,
    "synthesize": SynthesizeParameters,
    "super-resolve": SuperResolveParameters,
    "generate-lesion": GenerateLesionParameters,
    "inpaint-lesion": InpaintLesionParameters,
}

__all__ = [
    "ANATOMY_FILE",
    "ANATOMY_WORDS",
    "REGION_NAMES",
    "TASKS",
    "CommonParameters",
    "DenoiseParameters",
    "DetectAnomaliesParameters",
    "FileSlot",
    "GenerateLesionParameters",
    "InpaintLesionParameters",
    "Parameters",
    "SuperResolveParameters",
    "SynthesizeParameters",
    "describe_task",
    "parameter",
    "split_values",
]
