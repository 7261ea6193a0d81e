"""`meddiff-fm evaluate synthesize`, `generate-lesion` and `inpaint-lesion`: their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .evaluate_options import SharedOptions, require_packages, with_shared_options

FeaturesOption = Annotated[
    str,
    typer.Option(
        "--features",
        metavar="medicalnet|FILE|model|none",
        help="Network of LPIPS, FID and MMD: MedicalNet's (the paper's; downloaded), its weights in a file, or the "
        "model's own encoder (not comparable with the paper).",
    ),
]
SegmenterOption = Annotated[
    str,
    typer.Option(
        "--segmenter",
        metavar="auto|totalsegmentator|tissue",
        help="What finds organs for Dice; tissue: thresholds of HU; auto: TotalSegmentator if it can run.",
    ),
]
Tell = Annotated[
    str, typer.Option("--anatomy", metavar="given|threshold", help="Tell the model given organs, or thresholds' alone.")
]
Quality = Annotated[str, typer.Option("--quality", metavar="fast|balanced|paper", help="As of synthesize.")]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Steps of the sampler, in place of the quality's.")]
Spacing = Annotated[
    float, typer.Option("--spacing", min=0, max=10, metavar="MM", help="Grid to measure on; 0: the CT's own.")
]
Slab = Annotated[float | None, typer.Option("--slab", min=16, metavar="MM", help="Only the middle of each CT.")]


@with_shared_options
def evaluate_synthesize(
    shared: SharedOptions,
    quality: Quality = "balanced",
    steps: Steps = None,
    spacing: Spacing = 2.0,
    slab: Slab = None,
    features: FeaturesOption = "model",
    anatomy: Tell = "given",
    segmenter: SegmenterOption = "auto",
) -> None:
    """Make CTs from the label maps of real ones, and measure them beside the real: the paper's Table IV.

    With --data the three test volumes, without it the small ones of the repository.
    """
    require_packages("medmetric", "matplotlib")
    from MedDiffFMLib.cli.bar import progress_bar

    from ..evaluate.cases.synthesis import load_pair
    from ..evaluate.cases.volumes import REPOSITORY, TEST, find_volume, named_cases
    from ..evaluate.metrics.features import load_features
    from ..evaluate.metrics.similarity import kernel_that_fits
    from ..evaluate.tasks.synthesize import Yardstick, compare, notes_on, report_of

    check_choice("quality", quality, ("fast", "balanced", "paper"))
    check_choice("anatomy", anatomy, ("given", "threshold"))
    check_spacing(spacing)
    regions = named_cases(shared.cases, TEST if shared.data else REPOSITORY)
    files = {name: find_volume(shared.data, name) for name in regions}
    segment = choose_segmenter(segmenter)
    model = shared.load_model()
    network = load_features(features, model)
    one = {"spacing_mm": spacing or None, "slab_mm": slab, "segment": segment is not None}
    pairs = [load_pair(files[n], r, **one, tell_organs=anatomy == "given") for n, r in regions.items()]
    yardstick = Yardstick(network, kernel_that_fits([pair.ct.voxels.shape for pair in pairs]), segment)
    with progress_bar("Synthesis") as progress:
        rows = compare(pairs, model, yardstick, progress, quality=quality, steps=steps, seed=shared.seed)
    options = {"quality": quality, "steps": steps, "spacing_mm": spacing, "slab_mm": slab, "anatomy": anatomy}
    facts = options | {"features": network and network.name}
    shared.give(report_of(rows, notes_on(rows, yardstick, spacing or None), facts), model)


KindOption = Annotated[str, typer.Option("--kind", metavar="NAME", help="Kind of lesion: a ControlNet of the model.")]
Diameters = Annotated[str, typer.Option("--diameters", metavar="MM,...", help="New ellipsoids in each healthy CT.")]
RealCases = Annotated[
    str | None,
    typer.Option("--real-cases", metavar="NAME,...", help='CTs of --data with a lesion\'s mask; "none" for none.'),
]
Keep = Annotated[
    Path | None, typer.Option("--keep", metavar="DIR", help="Keep images and masks there, as nnU-Net wants them.")
]
KeepReal = Annotated[bool, typer.Option("--real", help="Keep the real lesions too.")]
Segmentations = Annotated[
    Path | None,
    typer.Option("--segmentations", metavar="DIR", help="What an nnU-Net predicted for the images in --keep: Dice."),
]


@with_shared_options
def evaluate_inpaint_lesion(
    shared: SharedOptions,
    kind: KindOption = "lung",
    diameters: Diameters = "12,20,30",
    steps: Steps = None,
    slab: Slab = None,
    real_cases: RealCases = None,
    keep: Keep = None,
    real: KeepReal = False,
    segmentations: Segmentations = None,
) -> None:
    """Draw lesions into healthy CT, and measure them beside real ones: the paper's Table IX.

    With --data a test volume and the real lesions there, without it the repository's and no real ones.
    """
    require_packages("matplotlib")
    from MedDiffFMLib.cli.bar import progress_bar

    from ..evaluate.cases.lesions import places, read_diameters
    from ..evaluate.cases.synthesis import load_pair
    from ..evaluate.tasks.lesions import add_real, inpaint_all

    sizes = read_diameters(diameters)
    lesions, model = _start(shared, "inpaint-lesion", kind, keep, segmentations)
    if model is not None:
        add_real(lesions, _real(shared, kind, real_cases), real)
        pairs = [load_pair(file, region, None, slab) for file, region in _healthy(shared, kind).items()]
        where = [place for pair in pairs for place in places(pair, kind, sizes, shared.seed)]
        with progress_bar("Lesions") as progress:
            inpaint_all(lesions, where, model, progress, kind=kind, steps=steps, seed=shared.seed)
    notes = ["Drawn on the CT's own grid, told the body alone (--anatomy auto)."]
    _finish(shared, lesions, model, notes, {"kind": kind, "diameters_mm": sizes, "steps": steps, "slab_mm": slab})


@with_shared_options
def evaluate_generate_lesion(
    shared: SharedOptions,
    kind: KindOption = "lung",
    diameters: Diameters = "20",
    quality: Quality = "balanced",
    steps: Steps = None,
    spacing: Spacing = 2.0,
    slab: Slab = None,
    anatomy: Tell = "given",
    features: FeaturesOption = "model",
    real_cases: RealCases = None,
    keep: Keep = None,
    real: KeepReal = False,
    segmentations: Segmentations = None,
) -> None:
    """Make CTs with lesions from label maps and lesion masks, and measure them: the paper's Table VIII.

    The label maps are those of healthy CTs, with new ellipsoids, and of CTs with real lesions, with their masks.
    """
    require_packages("medmetric", "matplotlib")
    from MedDiffFMLib.cli.bar import progress_bar

    from ..evaluate.cases.lesions import own_place, places, read_diameters
    from ..evaluate.cases.synthesis import load_pair
    from ..evaluate.metrics.features import load_features
    from ..evaluate.metrics.similarity import kernel_that_fits
    from ..evaluate.tasks.lesions import add_real, generate_all
    from ..evaluate.tasks.synthesize import Yardstick

    check_choice("quality", quality, ("fast", "balanced", "paper"))
    check_choice("anatomy", anatomy, ("given", "threshold"))
    check_spacing(spacing)
    sizes = read_diameters(diameters)
    lesions, model = _start(shared, "generate-lesion", kind, keep, segmentations)
    notes, network = [], None
    if model is not None:
        network = load_features(features, model)
        there = _real(shared, kind, real_cases)
        add_real(lesions, there, real)
        told = {"spacing_mm": spacing or None, "slab_mm": slab, "tell_organs": anatomy == "given"}
        pair_of = lambda file, region: load_pair(file, region, **told)  # noqa: E731
        healthy = [pair_of(file, region) for file, region in _healthy(shared, kind).items()]
        where = [place for pair in healthy for place in places(pair, kind, sizes, shared.seed)]
        where += [place for one in there for place in own_place(one, pair_of(one.file, one.region))]
        kernel = kernel_that_fits([place.pair.ct.voxels.shape for place in where])
        with progress_bar("Lesions") as progress:
            settings = {"kind": kind, "quality": quality, "steps": steps, "seed": shared.seed}
            generate_all(lesions, where, model, Yardstick(network, kernel), progress, **settings)
        notes = similarity_notes(network, kernel)
    options = {"kind": kind, "diameters_mm": sizes, "quality": quality, "steps": steps, "spacing_mm": spacing}
    options |= {"slab_mm": slab, "anatomy": anatomy, "features": network and network.name}
    _finish(shared, lesions, model, notes, options)


def similarity_notes(network, kernel: int | None) -> list[str]:
    """What MS-SSIM, LPIPS, FID and MMD are of."""
    first = f"MS-SSIM: beside the real CT of the label map, 3D, kernel {kernel}³." if kernel else "MS-SSIM: too small."
    return [first, network.note if network else "LPIPS, FID, MMD: not measured (--features none)."]


def _start(shared: SharedOptions, task: str, kind: str, keep: Path | None, segmentations: Path | None):
    """(Lesions, the model): empty ones and the model to measure, or what was kept with its Dice and None."""
    from MedDiffFMLib.errors import InputError

    from ..evaluate.tasks.lesions import Lesions, with_dice
    from ..evaluate.tasks.nnunet import start_folder

    if segmentations is not None:
        if keep is None:
            raise InputError("--segmentations needs the images that were segmented: name their folder with --keep.")
        return with_dice(keep, segmentations, task), None
    _healthy(shared, kind)
    model = shared.load_model()
    if keep is not None:
        start_folder(keep)
    return Lesions(task, kind, keep), model


def _finish(shared: SharedOptions, lesions, model, notes: list[str], options: dict) -> None:
    from ..evaluate.tasks.lesions import report_of

    facts = options if model is None else options | {"model": model.name, "sha256": model.sha256}
    if lesions.keep is not None and model is not None:
        lesions.save(facts, notes)
    shared.give(report_of(lesions, lesions.notes or notes, lesions.facts or facts), model)


def _healthy(shared: SharedOptions, kind: str) -> dict[Path, str]:
    """{file: region} of the CTs that lesions are drawn into: those named, or the test's (the repository's) of the
    kind's region.
    """
    from ..evaluate.cases.volumes import REPOSITORY, TEST, find_volume, named_cases

    region = "chest" if kind == "lung" else "abdomen"
    usual = {name: where for name, where in (TEST if shared.data else REPOSITORY).items() if where == region}
    return {find_volume(shared.data, n): r for n, r in named_cases(shared.cases, usual).items()}


def _real(shared: SharedOptions, kind: str, names: str | None) -> list:
    """The real lesions of --data: those named, or those known of the kind."""
    from ..evaluate.cases.lesions import REAL, real_lesions

    if shared.data is None or names == "none":
        return []
    return real_lesions(shared.data, names.split(",") if names else REAL.get(kind, ()), kind)


def check_choice(what: str, value: str, possible: tuple[str, ...]) -> None:
    from MedDiffFMLib.errors import InputError

    if value not in possible:
        raise InputError(f"There is no {what} {value!r}; use {', '.join(possible)}.")


def check_spacing(spacing: float) -> None:
    from MedDiffFMLib.errors import InputError

    if 0 < spacing < 0.5:
        raise InputError(f"--spacing cannot be {spacing:g} mm, too fine to compute: give 0.5 to 10 mm, or 0.")


def choose_segmenter(wanted: str):
    """What finds organs in a CT (Volume to label numbers), None for thresholds. InputError if it cannot run."""
    from MedDiffFMLib.anatomy.segmenter import choose_mode, find_organs, is_installed, modes_with_weights

    check_choice("segmenter", wanted, ("auto", "totalsegmentator", "tissue"))
    if wanted == "tissue" or (wanted == "auto" and not (is_installed() and modes_with_weights())):
        return None
    choose_mode()
    return lambda ct: find_organs(ct).voxels
