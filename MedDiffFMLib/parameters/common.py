"""Parameters that every task takes, and those that several share."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ..errors import UsageError
from .base import FileSlot, Parameters, parameter

REGION_NAMES = ("head-neck", "chest", "abdomen")
ANATOMY_WORDS = ("auto", "none", "threshold", "totalsegmentator")  # what is possible without a label map
ANATOMY_FILE = "(a file)"  # in the provenance in place of the path of a label map, which may name a patient
_NUMBER = r"\s*[-+]?(\d+\.?\d*|\.\d+)\s*"
ROI_PATTERN = ",".join([_NUMBER] * 6)

CT = FileSlot("input", "ct", "CT volume: a file (NIfTI, NRRD, MHA) or a folder of DICOM slices.")
ORGANS = FileSlot(
    "anatomy",
    "labels",
    "Label map with its names or TotalSegmentator's numbers, 118 for other parts of the body; or a folder with a file "
    "for each organ.",
)
OUTPUT = FileSlot(
    "output",
    "volume",
    "File to write, for example OUT.nii.gz, or a new folder OUT for a DICOM series. "
    "OUT.json beside it records how it was made.",
    output=True,
)
UNCERTAINTY = FileSlot(
    "uncertainty",
    "map",
    "Write how far the network's answers to mirrored copies of the scan lie apart too: their standard deviation in HU, "
    "not an error bar, and not calibrated. Needs --quality balanced.",
    output=True,
    optional=True,
    on_request=True,
)


def check_spread(quality: str) -> None:
    """Check that a quality averages orientations, whose spread is the uncertainty: UsageError unless it is balanced."""
    if quality != "balanced":
        raise UsageError(
            f"{quality} uses one orientation, so it has no spread for --uncertainty: choose --quality balanced."
        )


@dataclass(frozen=True)
class CommonParameters(Parameters):
    """The parameters that every task takes besides its own: where and with which model it runs."""

    model: str | None = parameter(
        None,
        "text",
        "Model: a name, a folder, or an id on the Hub (OWNER/NAME@REVISION). Without it the best installed one.",
        label="Model",
        metavar="NAME|DIR|HUB_ID",
        advanced=True,
    )
    device: str = parameter(
        "auto",
        "text",
        "Where to compute: auto takes a GPU if there is one.",
        label="Device",
        choices=("auto", "cpu", "cuda", "mps"),
        pattern=r"cuda:\d+",
        expected="cuda:NUMBER",
        metavar="auto|cpu|cuda[:N]|mps",
        advanced=True,
    )
    precision: str = parameter(
        "auto",
        "choice",
        "Arithmetic of the network: auto takes what this computer is faster in, float32 or bfloat16, measured once.",
        label="Precision",
        choices=("auto", "float32", "bfloat16", "float16"),
        advanced=True,
    )
    runtime: str = parameter(
        "auto",
        "choice",
        "What evaluates the network: auto takes OpenVINO on a processor, where it is installed, else PyTorch.",
        label="Runtime",
        choices=("auto", "torch", "openvino"),
        advanced=True,
    )
    roi: str | None = parameter(
        None,
        "text",
        "Box to work on, in mm, right, front and up positive: only it is computed, a result on the input's grid keeps "
        "the rest of the input. TotalSegmentator sees the box alone too: for a small one, give the whole scan's organs "
        "as a label map.",
        label="Box",
        pattern=ROI_PATTERN,
        expected="six numbers x0,x1,y0,y1,z0,z1 in mm (RAS), each pair ascending",
        metavar="X0,X1,Y0,Y1,Z0,Z1",
        advanced=True,
    )
    overwrite: bool = parameter(
        False, "flag", "Replace the output if it exists.", label="Replace an existing file", advanced=True
    )

    def validate(self):
        """This object, if every value is usable and the box is one; else UsageError."""
        super().validate()
        if self.roi is not None:
            read_box(self.roi)
        return self


def read_box(roi: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Low and high corner (x, y, z) in mm, RAS, of a `roi` of six numbers. UsageError unless each pair ascends."""
    numbers = [float(part) for part in roi.split(",")]
    low, high = tuple(numbers[0::2]), tuple(numbers[1::2])
    for axis, a, b in zip("xyz", low, high, strict=True):
        if a >= b:
            raise UsageError(f"--roi has {axis} from {a:g} to {b:g}: give each pair ascending, x0,x1,y0,y1,z0,z1.")
    return low, high


def split_values(task: type[Parameters], values: dict) -> tuple[Parameters, CommonParameters]:
    """The parameters of a task and the common ones, from one dict of names and values. UsageError for unknown or
    unusable ones.
    """
    known = [field.name for group in (task, CommonParameters) for field in dataclasses.fields(group)]
    for name in values:
        if name not in known:
            raise UsageError(f"There is no parameter {name!r} here; the parameters are {', '.join(known)}.")
    common = {field.name for field in dataclasses.fields(CommonParameters)}
    return (
        task.from_dict({name: value for name, value in values.items() if name not in common}),
        CommonParameters.from_dict({name: value for name, value in values.items() if name in common}),
    )


def describe_task(task: type[Parameters]) -> dict:
    """A description of a task for a panel or another program: its help, files, and parameters with the common ones.
    Ready for JSON.
    """
    return {
        "help": " ".join((task.__doc__ or "").split()),
        "synthetic": task.synthetic,
        "files": [dataclasses.asdict(slot) for slot in task.files],
        "parameters": task.describe() + CommonParameters.describe(),
    }


def region_parameter():
    """The field `region`: the part of the body."""
    return parameter(
        "auto",
        "choice",
        "Part of the body in the image; auto finds it.",
        label="Region",
        choices=("auto", *REGION_NAMES),
    )


def anatomy_parameter():
    """The field `anatomy`: a label map, or a word of `ANATOMY_WORDS`."""
    return parameter(
        "auto",
        "text",
        "Organs: a label map with its names or TotalSegmentator's numbers (a file, DICOM SEG, or a folder "
        "with a file for each organ); auto needs no model; "
        "none; threshold: body, lungs and bones; totalsegmentator runs it, if it is installed.",
        label="Anatomy",
        choices=ANATOMY_WORDS,
        expected="the path of a label map",
        metavar=f"FILE|{'|'.join(ANATOMY_WORDS)}",
    )


def seed_parameter():
    """The field `seed` of the random numbers."""
    return parameter(
        0,
        "integer",
        "Start of the random numbers: the same seed gives the same voxels.",
        label="Seed",
        minimum=0,
        maximum=2**32 - 1,
        metavar="N",
        advanced=True,
        affects_estimate=False,
    )


def steps_parameter(help: str = "Steps of the sampler, in place of the quality's own number."):
    """A field for a number of steps of a sampler."""
    return parameter(None, "integer", help, label="Steps", minimum=1, maximum=1000, metavar="N", advanced=True)


def overlap_parameter():
    """The field `overlap` of the network's windows."""
    return parameter(
        None,
        "number",
        "Share of a window that its neighbor covers too, in place of the quality's own: more is smoother, and slower.",
        label="Overlap of windows",
        minimum=0,
        maximum=0.75,
        metavar="SHARE",
        advanced=True,
    )


def samples_parameter():
    """The field `samples`: the number of results."""
    return parameter(
        1,
        "integer",
        "Number of results, each from a seed of its own; more than one are written as OUTPUT-1, OUTPUT-2, …",
        label="Samples",
        minimum=1,
        maximum=100,
        metavar="N",
    )
