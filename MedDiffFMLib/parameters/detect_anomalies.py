from __future__ import annotations

from dataclasses import dataclass

from .base import FileSlot, Parameters, parameter
from .common import CT, anatomy_parameter, overlap_parameter, region_parameter, seed_parameter

FINDING_COLUMNS = (
    *("finding", "organ", "deviation", "volume_ml", "peak_hu", "mean_hu"),
    *("center_r_mm", "center_a_mm", "center_s_mm"),
)


@dataclass(frozen=True)
class DetectAnomaliesParameters(Parameters):
    """Find what does not look as expected: a map in HU of how far an organ is from what a healthy one would show."""

    files = (
        CT,
        FileSlot("output_map", "map", "Map to write, in HU: image − expected, 0 outside the organ.", output=True),
        FileSlot("mask", "mask", "Write the findings as a mask too.", output=True, optional=True),
        FileSlot(
            "findings",
            "table",
            "Write a table of the findings too (.csv).",
            output=True,
            optional=True,
            columns=FINDING_COLUMNS,
        ),
    )

    organ: str = parameter(
        "body",
        "text",
        "Organ or group to look at, as liver or kidneys; body for all. By threshold alone: body, lungs, bones.",
        label="Organ",
        metavar="NAME",
    )
    anatomy: str = anatomy_parameter()
    threshold: str | float = parameter(
        "auto",
        "number",
        "Deviation in HU from which on a voxel is part of a finding; auto takes what stands out in this organ.",
        label="Threshold",
        choices=("auto",),
        unit="HU",
        minimum=1,
        maximum=2000,
        metavar="auto|HU",
    )
    deviation: str = parameter(
        "signed",
        "choice",
        "signed: brighter than expected is positive, darker negative; absolute: only how far.",
        label="Deviation",
        choices=("signed", "absolute"),
    )
    quality: str = parameter(
        "balanced",
        "choice",
        "balanced: the model's own settings; paper: the published method's, noise at t = 950 and the organ alone.",
        label="Quality",
        choices=("balanced", "paper"),
        advanced=True,
    )
    smoothing: float | None = parameter(
        None,
        "number",
        "Smoothing of the map: the Gaussian's standard deviation in mm, 0 for none; without it the quality's own, 2 mm "
        "or none in paper.",
        label="Smoothing",
        unit="mm",
        minimum=0,
        maximum=50,
        metavar="MM",
    )
    min_volume: float = parameter(
        0.1,
        "number",
        "Smallest finding in ml (0.1 ml is a ball of 6 mm).",
        label="Smallest finding",
        unit="ml",
        minimum=0,
        maximum=1000,
        metavar="ML",
    )
    region: str = region_parameter()
    noise_level: int | None = parameter(
        None,
        "integer",
        "Timestep that the image is noised to, in place of the model's own (950 in the paper): more hides more.",
        label="Noise level",
        minimum=1,
        maximum=999,
        metavar="T",
        advanced=True,
    )
    draws: int | None = parameter(
        None,
        "integer",
        "Draws of noise that are averaged, in place of the model's own number (1 in the paper).",
        label="Noise draws",
        minimum=1,
        maximum=100,
        metavar="N",
        advanced=True,
    )
    overlap: float | None = overlap_parameter()
    seed: int = seed_parameter()
