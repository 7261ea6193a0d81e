"""Parameters that every task takes, and those that several share."""

from __future__ import annotations

from dataclasses import dataclass

from .base import FileSlot, Parameters, parameter

REGION_NAMES = ("head-neck", "chest", "abdomen")
ANATOMY_WORDS = ("auto", "none", "threshold", "totalsegmentator")  # what is possible without a label map
ANATOMY_FILE = "(a file)"  # stands in provenance for the path of a label map, which may name a patient

CT = FileSlot("input", "ct", "CT volume: a file (NIfTI, NRRD, MHA) or a folder of DICOM slices.")
OUTPUT = FileSlot(
    "output", "volume", "File to write, for example OUT.nii.gz; OUT.json beside it tells how.", output=True
)


@dataclass(frozen=True)
class CommonParameters(Parameters):
    """What every task takes besides its own parameters: where and with which model it runs."""

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
        choices=("auto", "cpu", "cuda"),
        pattern=r"cuda:\d+",
        expected="cuda:NUMBER",
        metavar="auto|cpu|cuda[:N]",
        advanced=True,
    )
    precision: str = parameter(
        "auto",
        "choice",
        "Arithmetic of the network: auto takes bfloat16 where the hardware computes it natively, else float32.",
        label="Precision",
        choices=("auto", "float32", "bfloat16", "float16"),
        advanced=True,
    )
    overwrite: bool = parameter(
        False, "flag", "Replace the output if it exists.", label="Replace an existing file", advanced=True
    )


def region_parameter():
    return parameter(
        "auto",
        "choice",
        "Part of the body in the image; auto finds it.",
        label="Region",
        choices=("auto", *REGION_NAMES),
    )


def anatomy_parameter():
    return parameter(
        "auto",
        "text",
        "Organs: a label map with its names or TotalSegmentator's numbers (a file, or DICOM SEG); auto needs no model; "
        "none; threshold: body, lungs and bones; totalsegmentator runs it, if it is installed.",
        label="Anatomy",
        choices=ANATOMY_WORDS,
        expected="the path of a label map",
        metavar=f"FILE|{'|'.join(ANATOMY_WORDS)}",
    )


def seed_parameter():
    return parameter(
        0,
        "integer",
        "Start of the random numbers: the same seed gives the same voxels.",
        label="Seed",
        minimum=0,
        maximum=2**32 - 1,
        metavar="N",
        advanced=True,
    )


def steps_parameter(help: str = "Steps of the sampler, in place of the quality's own number."):
    return parameter(None, "integer", help, label="Steps", minimum=1, maximum=1000, metavar="N", advanced=True)


def samples_parameter():
    return parameter(
        1,
        "integer",
        "Number of results, each from a seed of its own; more than one are written as OUTPUT-1, OUTPUT-2, …",
        label="Samples",
        minimum=1,
        maximum=100,
        metavar="N",
    )
