"""`meddiff-fm evaluate synthesize`, `generate-lesion` and `inpaint-lesion`: their options."""

from __future__ import annotations

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
    segmenter: SegmenterOption = "auto",
) -> None:
    """Make CTs from the label maps of real ones, and measure them beside the real: the paper's Table IV.

    With --data the three test volumes, without it the small ones of the repository.
    """
    from MedDiffFMLib.cli.bar import progress_bar

    from ..evaluate.cases import REPOSITORY, TEST, TESTING_DATA, find_volume, named_cases
    from ..evaluate.features import load_features
    from ..evaluate.similarity import kernel_that_fits
    from ..evaluate.synthesis import Yardstick, compare, notes_on, report_of
    from ..evaluate.synthesis_cases import load_pair

    check_quality(quality)
    regions = named_cases(shared.cases, TEST if shared.data else REPOSITORY)
    files = {name: find_volume(shared.data or TESTING_DATA, name) for name in regions}
    require_packages("medmetric", "matplotlib")
    segment = choose_segmenter(segmenter)
    model = shared.load_model()
    network = load_features(features, model)
    pairs = [load_pair(files[n], region, spacing or None, slab, segment is not None) for n, region in regions.items()]
    yardstick = Yardstick(network, kernel_that_fits([pair.ct.voxels.shape for pair in pairs]), segment)
    with progress_bar("Synthesis") as progress:
        rows = compare(pairs, model, yardstick, progress, quality=quality, steps=steps, seed=shared.seed)
    options = {"quality": quality, "steps": steps, "spacing_mm": spacing, "slab_mm": slab}
    facts = shared.facts(model) | options | {"features": network and network.name}
    shared.give(report_of(rows, notes_on(rows, yardstick, spacing or None), facts))


def check_quality(quality: str) -> None:
    from MedDiffFMLib.errors import InputError

    if quality not in ("fast", "balanced", "paper"):
        raise InputError(f"There is no quality {quality!r}; use fast, balanced or paper.")


def choose_segmenter(wanted: str):
    """What finds organs in a CT (Volume to label numbers), None for thresholds. InputError if it cannot run."""
    from MedDiffFMLib.errors import InputError
    from MedDiffFMLib.segmenter import choose_mode, find_organs, is_installed, modes_with_weights

    if wanted not in ("auto", "totalsegmentator", "tissue"):
        raise InputError(f"There is no segmenter {wanted!r}; use auto, totalsegmentator or tissue.")
    if wanted == "tissue" or (wanted == "auto" and not (is_installed() and modes_with_weights())):
        return None
    choose_mode()
    return lambda ct: find_organs(ct).voxels
