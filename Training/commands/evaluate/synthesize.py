"""`meddiff-fm evaluate synthesize`: CTs from the label maps of real ones, beside these."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from ..option_groups import SharedOptions, SynthesisOptions, with_option_groups
from ..options import AnatomyTold, FeaturesOption, check_choice, require_packages

if TYPE_CHECKING:
    import numpy as np

    from MedDiffFMLib.volumes.volume import Volume

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
) -> None:
    """Make CTs from the label maps of real ones, and measure them beside the real: the paper's Table IV.

    With --data the three test volumes, without it the small ones of the repository.
    """
    require_packages("medmetric", "matplotlib")
    from MedDiffFMLib.cli.bar import progress_bar

    from ...evaluate.cases.synthesis import load_pair
    from ...evaluate.cases.volumes import REPOSITORY, TEST, find_volume, named_cases
    from ...evaluate.metrics.features import load_features
    from ...evaluate.metrics.similarity import kernel_that_fits
    from ...evaluate.tasks.synthesize import ImageMetrics, compare, notes_on, report_of

    check_choice("anatomy", anatomy, ("given", "threshold"))
    regions = named_cases(shared.cases, TEST if shared.data else REPOSITORY)
    files = {name: find_volume(shared.data, name) for name in regions}
    segment = choose_segmenter(segmenter)
    model = shared.load_model()
    network = load_features(features, model)
    spacing = synthesis.spacing or None
    options = {"segment": segment is not None, "tell_organs": anatomy == "given"}
    pairs = [load_pair(files[name], region, spacing, synthesis.slab, **options) for name, region in regions.items()]
    metrics = ImageMetrics(network, kernel_that_fits([pair.ct.voxels.shape for pair in pairs]), segment)
    with progress_bar("Synthesis") as progress:
        sampling = {"quality": synthesis.quality, "steps": synthesis.steps, "seed": shared.seed}
        rows = compare(pairs, model, metrics, progress, **sampling)
    facts = synthesis.facts | {"anatomy": anatomy, "features": network and network.name}
    shared.emit(report_of(rows, notes_on(rows, metrics, spacing), facts), model)


def choose_segmenter(wanted: str) -> Callable[[Volume], np.ndarray] | None:
    """The function that finds organs in a CT (Volume to label numbers); None for thresholds. InputError if it cannot
    run.
    """
    from MedDiffFMLib.anatomy.segmenter import choose_mode, find_organs, is_installed, modes_with_weights

    check_choice("segmenter", wanted, ("auto", "totalsegmentator", "tissue"))
    if wanted == "tissue" or (wanted == "auto" and not (is_installed() and modes_with_weights())):
        return None
    choose_mode()
    return lambda ct: find_organs(ct).voxels
