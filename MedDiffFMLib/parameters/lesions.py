from __future__ import annotations

from dataclasses import dataclass

from .base import FileSlot, Parameters, parameter
from .common import (
    CT,
    ORGANS,
    OUTPUT,
    anatomy_parameter,
    overlap_parameter,
    region_parameter,
    samples_parameter,
    seed_parameter,
    steps_parameter,
)

LESION_MASK = FileSlot(
    "lesion_mask",
    "mask",
    "Lesion mask: 0 is background, any other number lesion; named organs in it are left out; "
    "another grid is resampled.",
)


def kind_parameter():
    """The field `kind` of lesion."""
    return parameter(
        "auto",
        "text",
        "Kind of lesion: a ControlNet of the model, with or without its prefix lesion-; auto takes the only one, or "
        "the one for the region.",
        label="Kind",
        choices=("auto",),
        pattern=r"[A-Za-z0-9][A-Za-z0-9._-]*",
        expected="the name of a kind (meddiff-fm models show lists them)",
        metavar="auto|NAME",
    )


def resample_parameter():
    """The field `resample`: RePaint's repetitions of a step."""
    return parameter(
        None,
        "integer",
        "How often each step is repeated, so that lesion and surroundings agree; the time grows with it.",
        label="Resampling",
        minimum=1,
        maximum=50,
        metavar="N",
        advanced=True,
    )


@dataclass(frozen=True)
class InpaintLesionParameters(Parameters):
    """Draw a lesion into a CT where a mask says so. Every voxel outside the mask stays as it was."""

    files = (CT, LESION_MASK, OUTPUT)
    synthetic = True

    kind: str = kind_parameter()
    region: str = region_parameter()
    anatomy: str = anatomy_parameter()
    quality: str = parameter(
        "balanced",
        "choice",
        "balanced: the model's own settings; paper: the published method's, every timestep from noise and no blending "
        "at the mask's edge (slow).",
        label="Quality",
        choices=("balanced", "paper"),
        advanced=True,
    )
    samples: int = samples_parameter()
    steps: int | None = steps_parameter("Steps of the sampler, in place of the quality's own number.")
    resample: int | None = resample_parameter()
    overlap: float | None = overlap_parameter()
    seed: int = seed_parameter()


@dataclass(frozen=True)
class GenerateLesionParameters(Parameters):
    """Synthesize a CT of no real person, with a lesion, from a label map of its anatomy and a lesion mask."""

    files = (ORGANS, LESION_MASK, OUTPUT)
    synthetic = True

    kind: str = kind_parameter()
    region: str = region_parameter()
    quality: str = parameter(
        "balanced",
        "choice",
        "How the anatomy is made, see synthesize: fast is coarse; paper computes every window at 1 mm (slow), and the "
        "lesion with the whole CT, so that no CT without it exists.",
        label="Quality",
        choices=("fast", "balanced", "paper"),
    )
    samples: int = samples_parameter()
    synthesis_steps: int | None = steps_parameter(
        "Steps of the sampler that makes the anatomy, in place of the quality's own number (steps of synthesize)."
    )
    steps: int | None = steps_parameter("Steps of the sampler that draws the lesion, in place of the model's number.")
    resample: int | None = resample_parameter()
    overlap: float | None = overlap_parameter()
    seed: int = seed_parameter()
