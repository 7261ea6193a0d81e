"""`meddiff-fm evaluate super-resolve`: thin slices made of thick ones beside the real thin ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from MedDiffFMLib.errors import InputError

from ..option_groups import SharedOptions, with_option_groups
from ..options import (
    QUALITIES,
    AnatomyOption,
    BoxOption,
    InputsOption,
    PairsOption,
    Qualities,
    ResultOption,
    WindowOption,
    check_window,
    chosen,
    require_packages,
)

if TYPE_CHECKING:
    from ...evaluate.cases.anatomy_condition import AnatomyCondition
    from ...evaluate.cases.case_list import ListedCase
    from ...evaluate.cases.slice_pairs import SlicePair


@dataclass(frozen=True)
class SlicePairOptions:
    """Pairs of thick and thin slices: real ones, or thin ones that are averaged."""

    box: BoxOption = None
    factor: Annotated[int, typer.Option("--factor", min=2, max=20, help="Thin slices averaged into one.")] = 5
    thickness: Annotated[
        float | None,
        typer.Option(
            "--thickness",
            metavar="MM",
            min=0.1,
            max=30,
            help="Thickness of the thick slices, by whose profile they "
            "are means; without it that in the files of a real pair, and plain means of thin slices.",
        ),
    ] = None
    plain_too: Annotated[
        bool, typer.Option("--plain-too", help="Also the model where it takes slices of a thickness for plain means.")
    ] = False
    pairs: PairsOption = None
    thick: Annotated[Path | None, typer.Option("--thick", metavar="FILE", help="A scan in thick slices …")] = None
    thin: Annotated[Path | None, typer.Option("--thin", metavar="FILE", help="… and the same in thin ones.")] = None
    region: Annotated[str, typer.Option("--region", help="Region of --thick and --thin.")] = "chest"

    def check(self) -> None:
        """InputError for half a pair, or pairs named in two ways."""
        from ...evaluate.cases.box import read_box
        from ...evaluate.cases.volumes import PROTOCOL

        read_box(self.box)
        if (self.thick is None) != (self.thin is None):
            raise InputError("--thick and --thin are two reconstructions of one scan: give both files, or neither.")
        if self.thick is not None and self.pairs is not None:
            raise InputError("--pairs lists all pairs: give it, or --thick and --thin, not both.")
        if self.region not in PROTOCOL:
            raise InputError(f"There is no region {self.region!r}: use {', '.join(PROTOCOL)}.")

    def cases(self, shared: SharedOptions) -> list[ListedCase]:
        """The cases: with thick and thin slices, or with thin ones alone."""
        from ...evaluate.cases.case_list import ListedCase, read_case_list
        from ...evaluate.cases.slice_pairs import SLICE_LIST, thin_volumes

        if self.thick is None and self.pairs is None:
            return thin_volumes(shared.data, shared.cases)
        if shared.data or shared.cases or self.box:
            raise InputError("Real pairs are all that is measured, and whole: leave out --data, --cases and --box.")
        if self.pairs is not None:
            return read_case_list(self.pairs, SLICE_LIST)
        name = self.thick.name.removesuffix(".gz").removesuffix(".nii")
        return [ListedCase(name, self.region, {"thick": self.thick, "thin": self.thin})]


@with_option_groups
def evaluate_super_resolve(
    shared: SharedOptions,
    *,
    slices: SlicePairOptions,
    ends: Annotated[int, typer.Option("--ends", min=0, help="Thin slices left out at each end.")] = 5,
    window: WindowOption = None,
    qualities: Qualities = "fast,balanced",
    anatomy: AnatomyOption = None,
    result: ResultOption = None,
    inputs: InputsOption = None,
) -> None:
    """Average thin slices and make thin ones of them again, beside interpolation; PSNR, SSIM and means.

    With --data a test and a validation chest, without it the repository's. Real pairs: --thick FILE --thin FILE, or
    --pairs with the columns thick, thin and region (and anatomy, name, patient): the mean over all of them.
    """
    require_packages("skimage", "matplotlib")
    from ...evaluate.cases.anatomy_condition import AnatomyCondition
    from ...evaluate.cases.inputs import write_inputs
    from ...evaluate.cases.results import check_results

    chosen_qualities = chosen(qualities, QUALITIES, "quality")
    check_window(window)
    cases = slices.cases(shared)
    if inputs:
        pairs = _loaded(cases, slices, AnatomyCondition("auto"))
        return write_inputs(inputs, ((pair.name, {"thick": pair.thick}) for pair in pairs))
    names = [case.name for case in cases]
    check_results(result or [], names)
    if chosen_qualities or anatomy:
        AnatomyCondition(anatomy).check(names, [case.anatomy for case in cases])

    from ...evaluate.tasks.super_resolve import SlicesCounted, evaluate_super_resolution

    model = shared.load_model() if chosen_qualities else None
    condition = AnatomyCondition(anatomy, model.device) if model else AnatomyCondition("auto")
    pairs, counted = _loaded(cases, slices, condition), SlicesCounted(ends, window, slices.plain_too)
    report = evaluate_super_resolution(pairs, chosen_qualities, model, shared.seed, counted, result or [])
    shared.emit(report, model, box=slices.box, anatomy=anatomy)


def _loaded(cases: Sequence[ListedCase], slices: SlicePairOptions, condition: AnatomyCondition) -> Iterator[SlicePair]:
    """The pairs, one by one, with the model's anatomy condition."""
    from ...evaluate.cases.box import read_box
    from ...evaluate.cases.slice_pairs import load_slice_pair

    for case in cases:
        pair = load_slice_pair(case, slices.factor, read_box(slices.box), slices.thickness)
        yield replace(pair, anatomy=condition.of(case.name, pair.thick, case.anatomy))
