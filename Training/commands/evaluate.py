"""`meddiff-fm evaluate`: the tasks that restore or look at a given CT, with the paper's metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from MedDiffFMLib.errors import InputError

from .evaluate_options import SharedOptions, chosen, require_packages, with_shared_options
from .show import pictures

evaluate_app = typer.Typer(help="Measure how good the model is, beside other tools.", no_args_is_help=True)
evaluate_app.command("pictures")(pictures)

CLASSICAL = ("bm3d", "nlm", "nlm3", "tv", "curvature")
QUALITIES = ("fast", "balanced", "paper")
BOX_HELP = "Part to measure, in voxels to left, posterior and superior: each N (the middle ones), A:B, or : for all."

Slices = Annotated[int | None, typer.Option("--slices", min=2, help="Central axial slices. Default: all.")]
Cache = Annotated[Path | None, typer.Option("--cache", metavar="DIR", help="Folder that keeps simulated low dose.")]
Tools = Annotated[str, typer.Option(help='Classical tools; "none" for none.')]
Qualities = Annotated[str, typer.Option(help='Qualities of the model; "none" for none.')]
Box = Annotated[str | None, typer.Option("--box", metavar="X,Y,Z", help=BOX_HELP)]


@evaluate_app.command("denoise")
@with_shared_options
def evaluate_denoise(
    shared: SharedOptions,
    slices: Slices = None,
    tools: Tools = "bm3d,nlm,nlm3,tv,curvature",
    qualities: Qualities = "fast,balanced",
    cache: Cache = None,
) -> None:
    """Denoise simulated low-dose CT with the model and with classical tools; PSNR and SSIM inside the body.

    With --data the three test volumes, without it the small ones of the repository.
    """
    require_packages("astra", "skimage", "bm3d", "matplotlib")
    from ..evaluate.cases.volumes import REPOSITORY, TEST, find_volume, load_case, named_cases

    chosen_tools, chosen_qualities = chosen(tools, CLASSICAL, "tool"), chosen(qualities, QUALITIES, "quality")
    regions = named_cases(shared.cases, TEST if shared.data else REPOSITORY)
    files = {name: find_volume(shared.data, name) for name in regions}

    from ..evaluate.tasks.denoise import evaluate_denoising

    model = shared.load_model() if chosen_qualities else None
    slabs = (load_case(files[name], region, slices, shared.seed, cache) for name, region in regions.items())
    report = evaluate_denoising(slabs, chosen_tools, chosen_qualities, model, shared.seed)
    shared.give(report, model, slices=slices)


@evaluate_app.command("super-resolve")
@with_shared_options
def evaluate_super_resolve(
    shared: SharedOptions,
    box: Box = None,
    factor: Annotated[int, typer.Option("--factor", min=2, max=20, help="Thin slices averaged into one.")] = 5,
    ends: Annotated[int, typer.Option("--ends", min=0, help="Thin slices left out at each end.")] = 5,
    qualities: Qualities = "fast,balanced",
    thick: Annotated[Path | None, typer.Option("--thick", metavar="FILE", help="A scan in thick slices …")] = None,
    thin: Annotated[Path | None, typer.Option("--thin", metavar="FILE", help="… and the same in thin ones.")] = None,
    region: Annotated[str, typer.Option("--region", help="Region of --thick and --thin.")] = "chest",
) -> None:
    """Average thin slices and make thin ones of them again, beside interpolation; PSNR, SSIM and block means.

    With --data a test and a validation chest, without it the repository's. A real pair: --thick FILE --thin FILE.
    """
    require_packages("skimage", "matplotlib")
    from ..evaluate.cases.box import read_box
    from ..evaluate.cases.volumes import PROTOCOL

    chosen_qualities, chosen_box = chosen(qualities, QUALITIES, "quality"), read_box(box)
    if (thick is None) != (thin is None):
        raise InputError("--thick and --thin are two reconstructions of one scan: give both files, or neither.")
    if region not in PROTOCOL:
        raise InputError(f"There is no region {region!r}: use {', '.join(PROTOCOL)}.")

    from ..evaluate.tasks.super_resolve import evaluate_super_resolution, find_pairs, read_pair

    pairs = [read_pair(thick, thin, region)] if thick else find_pairs(shared.data, shared.cases, factor, chosen_box)
    model = shared.load_model() if chosen_qualities else None
    report = evaluate_super_resolution(pairs, chosen_qualities, model, shared.seed, ends)
    shared.give(report, model, box=box)


@evaluate_app.command("detect-anomalies")
@with_shared_options
def evaluate_detect_anomalies(
    shared: SharedOptions,
    plant: Annotated[
        str | None, typer.Option("--plant", metavar="NAME[:REGION],...", help="Volumes to plant an anomaly into.")
    ] = None,
    organ: Annotated[
        str | None, typer.Option("--organ", help="Organ in all cases, in place of each one's own.")
    ] = None,
    box: Box = None,
    diameter: Annotated[float | None, typer.Option(min=1, help="Longest axis of what is planted, mm.")] = None,
    offset: Annotated[float | None, typer.Option(min=-2000, max=2000, help="HU added to what is planted.")] = None,
    blend: Annotated[float, typer.Option(min=0, help="Depth over which it fades in, mm.")] = 2.0,
    place: Annotated[int, typer.Option(min=0, help="Seed of its place.")] = 0,
    t: Annotated[str | None, typer.Option("--t", metavar="T,...", help="Noise levels, in place of its own.")] = None,
    draws: Annotated[int | None, typer.Option(min=1, max=100, help="Draws of noise, in place of its own.")] = None,
    direction: Annotated[str, typer.Option(metavar="either|darker|brighter", help="What counts.")] = "either",
    smoothing: Annotated[float, typer.Option(min=0, max=50, help="Of the map, mm.")] = 2.0,
    baselines_only: Annotated[bool, typer.Option("--baselines-only", help="Without the model.")] = False,
) -> None:
    """Find known lesions: image and pixel AUROC, PRO and Dice, beside the distance from the organ's median.

    --cases names volumes with a lesion mask (NAME_seg.nii.gz), --plant volumes to plant an anomaly into. Without
    either, with --data a validation lesion and test volumes to plant into, else those of the repository.
    """
    require_packages("sklearn", "matplotlib")
    from ..evaluate.cases.box import read_box

    chosen_box, levels = read_box(box), _noise_levels(t)
    if direction not in ("either", "darker", "brighter"):
        raise InputError(f"There is no direction {direction!r}: use either, darker or brighter.")

    from ..evaluate.cases.anomalies import Wanted, find_cases
    from ..evaluate.tasks.detect_anomalies import DetectSettings, evaluate_detection

    cases = find_cases(Wanted(shared.data, shared.cases, plant, organ, chosen_box, diameter, offset, blend, place))
    model = None if baselines_only else shared.load_model()
    settings = DetectSettings(levels, draws, direction, smoothing, shared.seed)
    shared.give(evaluate_detection(cases, model, settings), model, box=box)


def _noise_levels(text: str | None) -> tuple[int, ...]:
    """The timesteps of "300,950". InputError unless each is 1 to 999."""
    parts = [part.strip() for part in text.split(",")] if text else []
    if not all(part.isdecimal() and 1 <= int(part) <= 999 for part in parts):
        raise InputError(f"--t cannot be {text!r}: give timesteps from 1 to 999 with commas, as 300,950.")
    return tuple(map(int, parts))


@evaluate_app.command("tune-classical")
def tune_classical(
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder with the validation volumes.")],
    tools: Tools = "bm3d,nlm,tv,curvature",
    slices: Annotated[int, typer.Option("--slices", min=2, help="Central axial slices.")] = 8,
    cache: Cache = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the simulated noise.")] = 0,
) -> None:
    """Choose the classical tools' settings on the validation patients: the best mean PSNR gain of a small grid."""
    require_packages("astra", "skimage", "bm3d")
    from ..evaluate.cases.volumes import VALIDATION, find_volume, load_case

    names = chosen(tools, CLASSICAL, "tool")
    files = {name: find_volume(data, name) for name in VALIDATION}
    from ..evaluate.baselines.tune import tune

    cases = [load_case(files[name], region, slices, seed, cache) for name, region in VALIDATION.items()]
    print("PSNR gain (dB) on", ", ".join(VALIDATION))
    for tool in names:
        best = tune(tool, cases, lambda settings, gains, tool=tool: print(_line(tool, settings, gains), flush=True))
        print(f"{tool}: best {best}")


def _line(tool: str, settings: dict, gains: list[float]) -> str:
    values = ", ".join(f"{name} {value:g}" for name, value in settings.items())
    return (
        f"{tool}, {values}: " + ", ".join(f"{gain:+.2f}" for gain in gains) + f"; mean {sum(gains) / len(gains):+.2f}"
    )
