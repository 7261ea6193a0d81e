"""`meddiff-fm evaluate synthesize`: CTs from the label maps of real ones, beside these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ..option_groups import ListOptions, SharedOptions, SynthesisOptions, with_option_groups
from ..options import FeaturesOption, InputsOption, ResultOption, SynthesisAnatomyOption, check_choice, require_packages

if TYPE_CHECKING:
    import torch

    from MedDiffFMLib.anatomy.label_maps.reading import Anatomy
    from MedDiffFMLib.models.loading import Model
    from MedDiffFMLib.volumes.volume import Volume

    from ...evaluate.cases.case_list import ListedCase
    from ...evaluate.cases.synthesis import LabeledCt
    from ...evaluate.tasks.synthesize import ImageMetrics

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
    anatomy: SynthesisAnatomyOption = "given",
    segmenter: SegmenterOption = "auto",
    *,
    listed: ListOptions,
    result: ResultOption = None,
    inputs: InputsOption = None,
) -> None:
    """Make CTs from the label maps of real ones, and measure them beside the real: the paper's Table IV.

    With --data the three test volumes, without it the small ones of the repository. A --list has the columns ct, region
    (auto: a case for each region of a whole body) and anatomy.
    """
    prepared = PreparedSynthesis.of(shared, synthesis, features, anatomy, segmenter, listed)
    from MedDiffFMLib.cli.bar import progress_bar
    from MedDiffFMLib.models.device import choose_device

    from ...evaluate.cases.inputs import write_inputs
    from ...evaluate.cases.results import check_results
    from ...evaluate.tasks.synthesize import compare, notes_on, report_of

    if inputs:
        pairs = prepared.pairs(choose_device(shared.device))
        return write_inputs(inputs, ((pair.name, {"labels": pair.labels}) for pair in pairs))
    check_results(result or [], [])
    model = shared.load_model()
    if result:
        check_results(result, prepared.names(model.device))
    metrics, pairs = prepared.metrics(model), prepared.pairs(model.device)
    with progress_bar("Synthesis") as progress:
        rows = compare(pairs, [model], metrics, result or [], progress, **prepared.sampling)
    notes = notes_on(rows, metrics, synthesis.spacing or None)
    shared.emit(report_of(rows, notes, prepared.facts(metrics)), model)


@dataclass(frozen=True)
class PreparedSynthesis:
    """The options of an evaluation of synthesis, checked before a model is loaded."""

    cases: list[ListedCase]
    synthesis: SynthesisOptions
    features: str
    anatomy: str
    segmenter: str
    seed: int

    @classmethod
    def of(
        cls,
        shared: SharedOptions,
        synthesis: SynthesisOptions,
        features: str,
        anatomy: str,
        segmenter: str,
        listed: ListOptions,
    ) -> PreparedSynthesis:
        """The options of a command. InputError if a package or a case is missing, or an option has no such choice."""
        require_packages("medmetric", "matplotlib")
        check_choice("anatomy", anatomy, ("given", "threshold"))
        choose_segmenter(segmenter)
        return cls(_cases(shared, listed), synthesis, features, anatomy, segmenter, shared.seed)

    def pairs(self, device: torch.device | None = None) -> Iterator[LabeledCt]:
        """The pairs of real CT and label map, one by one. device: where organs are looked for, if they are."""
        from ...evaluate.cases.synthesis import PairOptions, load_pairs

        segment = choose_segmenter(self.segmenter, device)
        options = PairOptions(self.synthesis.spacing or None, self.synthesis.slab, segment, self.anatomy == "given")
        for case in self.cases:
            yield from load_pairs(case.files["ct"], case.region, options, case.anatomy, case.name)

    def names(self, device: torch.device | None = None) -> list[str]:
        """The names of the pairs. Where a line's region is auto, the CTs are read for it: they show which there are."""
        from ...evaluate.cases.case_list import AUTO

        if all(case.region != AUTO for case in self.cases):
            return [case.name for case in self.cases]
        return [pair.name for pair in self.pairs(device)]

    def metrics(self, model: Model) -> ImageMetrics:
        """The metrics of a synthetic CT; the features may come from the model's encoder."""
        from ...evaluate.metrics.features import load_features
        from ...evaluate.tasks.synthesize import ImageMetrics

        segment = choose_segmenter(self.segmenter, model.device)
        return ImageMetrics(load_features(self.features, model), segment and (lambda ct: segment(ct).voxels))

    @property
    def sampling(self) -> dict[str, object]:
        """The parameters of `synthesize`."""
        return {"quality": self.synthesis.quality, "steps": self.synthesis.steps, "seed": self.seed}

    def facts(self, metrics: ImageMetrics) -> dict[str, object]:
        """The options by the names that a report has them under."""
        network = metrics.features
        return self.synthesis.facts | {"anatomy": self.anatomy, "features": network and network.name}


def _cases(shared: SharedOptions, listed: ListOptions) -> list[ListedCase]:
    """The cases of the list, or those named in a folder."""
    from ...evaluate.cases.case_list import Columns, ListedCase
    from ...evaluate.cases.volumes import REPOSITORY, TEST, find_volume, named_cases

    cases = listed.read(Columns(("ct",), ("anatomy",), auto_region=True, volumes=True), shared)
    if cases is not None:
        return cases
    regions = named_cases(shared.cases, TEST if shared.data else REPOSITORY)
    return [ListedCase(n, region, {"ct": find_volume(shared.data, n)}) for n, region in regions.items()]


def choose_segmenter(choice: str, device: torch.device | None = None) -> Callable[[Volume], Anatomy] | None:
    """The function that finds organs in a CT, on a GPU at 1.5 mm as `train prepare` does; None for thresholds.
    InputError if it cannot run.
    """
    from MedDiffFMLib.anatomy.segmenter import choose_mode, find_organs, is_installed, modes_with_weights

    check_choice("segmenter", choice, ("auto", "totalsegmentator", "tissue"))
    if choice == "tissue" or (choice == "auto" and not (is_installed() and modes_with_weights())):
        return None
    choose_mode(device)
    return partial(find_organs, device=device)
