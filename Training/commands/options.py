"""The options and arguments that several commands share, and what a command checks before any work."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from MedDiffFMLib.atomic import check_name, check_place
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.extras import advice

CLASSICAL = ("bm3d", "nlm", "nlm3", "tv", "curvature")
QUALITIES = ("fast", "balanced", "paper")

# train
Store = Annotated[Path, typer.Argument(help="Training store, written by `prepare`.")]
RunFolder = Annotated[Path, typer.Argument(help="Folder of the run: states, log and TensorBoard.")]
PairsRun = Annotated[Path, typer.Argument(help="Folder of the run: its pairs, state and log.")]
State = Annotated[Path, typer.Argument(help="State of a run (last.pt).")]
RunConfig = Annotated[Path, typer.Argument(help="The run's config.json.")]
TrainingDevice = Annotated[str, typer.Option(help="cpu, cuda[:N] or auto; several processes take a GPU each.")]
Workers = Annotated[int, typer.Option(help="Processes that draw crops ahead, for each that trains.", min=0)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print sizes, memory and time of a step; write nothing.")]

# a model that is shown or probed
ShownModel = Annotated[str | None, typer.Option("--model", metavar="NAME|DIR|HUB_ID", help="Model to show.")]
ModelDevice = Annotated[
    str, typer.Option("--device", metavar="auto|cpu|cuda[:N]|mps", help="Where the model computes.")
]
JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write every measurement there.")]
CropsSplit = Annotated[str, typer.Option(help="Its cases: validation, or train.")]
CropsRegion = Annotated[str | None, typer.Option(help="Only cases of head-neck, chest or abdomen.")]
Crops = Annotated[int, typer.Option(help="How many crops.", min=1)]
CropPatch = Annotated[int, typer.Option(help="Their voxels along each axis.", min=16)]

# evaluate
CentralSlices = Annotated[int | None, typer.Option("--slices", min=2, help="Central axial slices. Default: all.")]
Cache = Annotated[Path | None, typer.Option("--cache", metavar="DIR", help="Folder that keeps simulated low dose.")]
Tools = Annotated[str, typer.Option(help='Classical tools; "none" for none.')]
Qualities = Annotated[str, typer.Option(help='Qualities of the model; "none" for none.')]
BoxOption = Annotated[
    str | None,
    typer.Option(
        "--box",
        metavar="X,Y,Z",
        help="Part to measure, in voxels to left, posterior and superior: each N (the middle ones), A:B, or : for all.",
    ),
]
SamplerSteps = Annotated[
    int | None, typer.Option("--steps", min=1, help="Steps of the sampler, in place of the quality's.")
]
Slab = Annotated[float | None, typer.Option("--slab", min=16, metavar="MM", help="Only the middle of each CT.")]
SynthesisAnatomyOption = Annotated[
    str,
    typer.Option(
        "--anatomy",
        metavar="given|threshold",
        help="Condition the model on given organs, or only on what thresholds find.",
    ),
]
AnatomyOption = Annotated[
    str | None,
    typer.Option(
        "--anatomy",
        metavar="auto|threshold|totalsegmentator|FILE|DIR",
        help="Anatomy for the model: body, tissues, organs, or label maps by the cases' names. Default: the list's.",
    ),
]
WindowOption = Annotated[
    tuple[float, float] | None,
    typer.Option("--window", metavar="LO HI", help="HU that are counted, in place of the region's."),
]
ResultOption = Annotated[
    list[Path] | None,
    typer.Option("--result", metavar="DIR", help="Images that a method made elsewhere, NAME.nii.gz a case; several."),
]
MapsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--result", metavar="DIR", help="Maps that a method made elsewhere, NAME.nii.gz a case; high: abnormal."
    ),
]
InputsOption = Annotated[
    Path | None,
    typer.Option("--write-inputs", metavar="DIR", help="Write there what methods are given, for other ones, and stop."),
]
PairsOption = Annotated[Path | None, typer.Option("--pairs", metavar="CSV", help="List of real pairs.")]
KindOption = Annotated[str, typer.Option("--kind", metavar="NAME", help="Kind of lesion: a ControlNet of the model.")]
Diameters = Annotated[
    str | None,
    typer.Option(
        "--diameters",
        metavar="MM,...",
        help='New ellipsoids in each healthy CT; "none" for real lesions\' masks alone.',
    ),
]
FeaturesOption = Annotated[
    str,
    typer.Option(
        "--features",
        metavar="medicalnet|FILE|model|none",
        help="Network of LPIPS, FID and MMD: MedicalNet's (the paper's; downloaded), its weights in a file, or the "
        "model's own encoder (not comparable with the paper).",
    ),
]


def chosen(text: str, possible: Sequence[str], noun: str) -> list[str]:
    """The names in a comma-separated option; none for "none". InputError for an unknown one."""
    names = [] if text == "none" else [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in possible:
            raise InputError(f"There is no {noun} {name!r}; use {', '.join(possible)}, or none.")
    return names


def check_choice(noun: str, value: str, possible: Sequence[str]) -> None:
    """InputError if an option has none of its possible values."""
    if value not in possible:
        raise InputError(f"There is no {noun} {value!r}; use {', '.join(possible)}.")


def check_window(window: tuple[float, float] | None) -> None:
    """InputError for a HU window that is none."""
    if window is not None and not window[0] < window[1]:
        raise InputError(f"--window cannot be {window[0]:g} {window[1]:g}: give the lower HU first, as -160 240.")


def check_file(file: Path | None) -> None:
    """InputError if a report is wanted in a file that cannot be written."""
    if file is None:
        return
    check_name(file)
    if file.is_dir() or not file.parent.is_dir():
        raise InputError(f"{file} cannot be written: name a file in a folder that exists.")
    check_place(file)


def require_packages(*names: str) -> None:
    """InputError, before any work, if one of these packages of the extra `training` is missing."""
    if missing := [name for name in names if find_spec(name) is None]:
        raise InputError(advice(missing))
