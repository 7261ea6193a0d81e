"""`meddiff-fm evaluate synthesize`: CTs from the label maps of real ones, beside these."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ..option_groups import ListOptions, SharedOptions, SynthesisOptions, with_option_groups
from ..options import AnatomyTold, FeaturesOption, check_choice, require_packages

if TYPE_CHECKING:
    import torch

    from MedDiffFMLib.anatomy.label_maps.reading import Anatomy
    from MedDiffFMLib.volumes.volume import Volume

    from ...evaluate.cases.case_list import ListedCase

SegmenterOption = Annotated[
    str,
    typer.Option(
        "--segmenter",
        metavar="auto|totalsegmentator|tissue",
        help="What finds organs for Dice; tissue: thresholds of HU; auto: TotalSegmentator if it can run.",
    ),
]


@with_option_groups
def evaluate_synthesize(
    shared: SharedOptions,
    synthesis: SynthesisOptions,
    features: FeaturesOption = "model",
    anatomy: AnatomyTold = "given",
    segmenter: SegmenterOption = "auto",
    *,
    listed: ListOptions,
) -> None:
    """Make CTs from the label maps of real ones, and measure them beside the real: the paper's Table IV.

    With --data the three test volumes, without it the small ones of the repository. A --list has the columns ct, region
    (auto: a case for each region of a whole body) and anatomy.
    """
    require_packages("medmetric", "matplotlib")
    from MedDiffFMLib.cli.bar import progress_bar

    from ...evaluate.cases.synthesis import PairOptions, load_pairs
    from ...evaluate.metrics.features import load_features
    from ...evaluate.metrics.similarity import kernel_that_fits
    from ...evaluate.tasks.synthesize import ImageMetrics, compare, notes_on, report_of

    check_choice("anatomy", anatomy, ("given", "threshold"))
    cases = _cases(shared, listed)
    choose_segmenter(segmenter)  # refused before a model is loaded
    model = shared.load_model()
    segment = choose_segmenter(segmenter, model.device)
    network = load_features(features, model)
    spacing = synthesis.spacing or None
    options = PairOptions(spacing, synthesis.slab, segment, anatomy == "given")
    pairs = [
        pair for case in cases for pair in load_pairs(case.files["ct"], case.region, options, case.anatomy, case.name)
    ]
    kernel = kernel_that_fits([pair.ct.voxels.shape for pair in pairs])
    metrics = ImageMetrics(network, kernel, segment and (lambda ct: segment(ct).voxels))
    with progress_bar("Synthesis") as progress:
        sampling = {"quality": synthesis.quality, "steps": synthesis.steps, "seed": shared.seed}
        rows = compare(pairs, model, metrics, progress, **sampling)
    facts = synthesis.facts | {"anatomy": anatomy, "features": network and network.name}
    shared.emit(report_of(rows, notes_on(rows, metrics, spacing), facts), model)


def _cases(shared: SharedOptions, listed: ListOptions) -> list[ListedCase]:
    """The cases of the list, or those named in a folder."""
    from ...evaluate.cases.case_list import Columns, ListedCase
    from ...evaluate.cases.volumes import REPOSITORY, TEST, find_volume, named_cases

    cases = listed.read(Columns(("ct",), ("anatomy",), auto_region=True), shared)
    if cases is not None:
        return cases
    regions = named_cases(shared.cases, TEST if shared.data else REPOSITORY)
    return [ListedCase(n, region, {"ct": find_volume(shared.data, n)}) for n, region in regions.items()]


def choose_segmenter(wanted: str, device: torch.device | None = None) -> Callable[[Volume], Anatomy] | None:
    """The function that finds organs in a CT, on a GPU at 1.5 mm as `train prepare` does; None for thresholds.
    InputError if it cannot run.
    """
    from MedDiffFMLib.anatomy.segmenter import choose_mode, find_organs, is_installed, modes_with_weights

    check_choice("segmenter", wanted, ("auto", "totalsegmentator", "tissue"))
    if wanted == "tissue" or (wanted == "auto" and not (is_installed() and modes_with_weights())):
        return None
    choose_mode(device)
    return partial(find_organs, device=device)
