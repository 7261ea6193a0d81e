"""`meddiff-fm evaluate denoise`: the model beside classical tools on low dose, simulated or real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..option_groups import SharedOptions, with_option_groups
from ..options import (
    CLASSICAL,
    QUALITIES,
    AnatomyOption,
    Cache,
    CentralSlices,
    InputsOption,
    Qualities,
    ResultOption,
    Tools,
    WindowOption,
    check_window,
    chosen,
    require_packages,
)
from .dose_options import DoseOptions

if TYPE_CHECKING:
    import numpy as np

    from ...evaluate.cases.anatomy_condition import AnatomyCondition
    from ...evaluate.cases.case_list import ListedCase
    from ...evaluate.cases.volumes import Dose, LowDoseCase
    from ...evaluate.metrics.psnr_ssim import Counting


@dataclass(frozen=True)
class CountingOptions:
    """The HU window and the voxels that are counted."""

    window: WindowOption = None
    whole_image: Annotated[bool, typer.Option("--whole-image", help="Count all voxels, not the body's alone.")] = False

    def check(self) -> None:
        """InputError for a window that is none."""
        check_window(self.window)

    @property
    def counted(self) -> Counting:
        """The same for the measures."""
        from ...evaluate.metrics.psnr_ssim import Counting

        return Counting(self.window, self.whole_image)


@dataclass(frozen=True)
class OtherMethods:
    """Images that other methods made, a baseline that was trained here, and where inputs for others are written."""

    result: ResultOption = None
    write_inputs: InputsOption = None
    red_cnn: Annotated[
        Path | None,
        typer.Option("--red-cnn", metavar="DIR", help="A run of train baseline red-cnn: one more method."),
    ] = None

    def check(self) -> None:
        """Nothing: the images are checked once the cases are known."""

    def networks(self) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
        """The trained baselines by name, HU to HU (Z, Y, X). InputError if a folder holds none."""
        from ...learn.red_cnn import denoise_slices, load_red_cnn

        return {"RED-CNN": partial(denoise_slices, load_red_cnn(self.red_cnn))} if self.red_cnn else {}


@dataclass(frozen=True)
class OurMethods:
    """The classical tools and the qualities of the model that are measured."""

    tools: Tools = "bm3d,nlm,nlm3,tv,curvature"
    qualities: Qualities = "fast,balanced"

    def check(self) -> None:
        """InputError for a tool or a quality that does not exist."""
        self.chosen()

    def chosen(self) -> tuple[list[str], list[str]]:
        """The names of the tools, and of the qualities."""
        return chosen(self.tools, CLASSICAL, "tool"), chosen(self.qualities, QUALITIES, "quality")


@with_option_groups
def evaluate_denoise(
    shared: SharedOptions,
    *,
    slices: CentralSlices = None,
    methods: OurMethods,
    cache: Cache = None,
    dose: DoseOptions,
    counting: CountingOptions,
    anatomy: AnatomyOption = None,
    other: OtherMethods,
) -> None:
    """Denoise low-dose CT with the model and with classical tools; PSNR and SSIM inside the body.

    Low dose is simulated: with --data of the three test volumes, without it of the small ones of the repository. Or
    real: --low FILE --full FILE, or --pairs with the columns low, full and region (and anatomy, name, patient).
    Choose settings with --cases validation, --simulator fan, --sigma 8,12,30,60 and --seeds 3.
    """
    require_packages("astra", "skimage", "bm3d", "matplotlib")
    from ...evaluate.cases.anatomy_condition import AnatomyCondition
    from ...evaluate.cases.inputs import write_inputs
    from ...evaluate.cases.results import check_results
    from ...evaluate.tasks.denoise import DenoisingMethods, evaluate_denoising

    chosen_tools, chosen_qualities = methods.chosen()
    cases, doses = _cases_and_doses(shared, dose, other)
    load = partial(_load, slices=slices, measured=dose.measured, cache=cache)
    if other.write_inputs:
        return write_inputs(other.write_inputs, ((case.name, {"low": load(case, *doses).low}) for case in cases))
    names = [case.name for case in cases]
    check_results(other.result or [], names)
    if chosen_qualities or anatomy:
        AnatomyCondition(anatomy).check(names, [case.anatomy for case in cases])
    model = shared.load_model() if chosen_qualities else None
    condition = AnatomyCondition(anatomy, model.device) if model else AnatomyCondition("auto")
    slabs, counted = (load(case, one, condition) for case in cases for one in doses), counting.counted
    compared = (chosen_tools, chosen_qualities, model, shared.seed, other.networks(), other.result or [])
    report = evaluate_denoising(slabs, DenoisingMethods(*compared), counted)
    shared.emit(report, model, slices=slices, anatomy=anatomy, whole_image=counted.whole_image)


def _cases_and_doses(
    shared: SharedOptions, dose: DoseOptions, other: OtherMethods
) -> tuple[Sequence[ListedCase], Sequence[Dose | None]]:
    """The cases, and the doses of each: None for the real one of a pair."""
    if pairs := dose.cases(shared):
        return pairs, [None]
    doses = dose.doses(shared.seed)
    dose.check_others(len(doses), other.write_inputs, other.result)
    return simulated_cases(shared), doses


def simulated_cases(shared: SharedOptions) -> Sequence[ListedCase]:
    """The volumes of --data, or of the repository, whose low dose is simulated."""
    from ...evaluate.cases.case_list import ListedCase
    from ...evaluate.cases.volumes import DENOISING, REPOSITORY, TEST, find_volume, named_cases

    if shared.cases == "validation":
        regions = DENOISING
    else:
        regions = named_cases(shared.cases, TEST if shared.data else REPOSITORY)
    return [ListedCase(n, region, {"full": find_volume(shared.data, n)}) for n, region in regions.items()]


def _load(
    case: ListedCase,
    dose: Dose | None,
    condition: AnatomyCondition | None = None,
    *,
    slices: int | None,
    measured: float | None,
    cache: Path | None,
) -> LowDoseCase:
    """A case in low and full dose. dose: what to simulate, None for a real pair; measured: the noise that methods are
    given of that, None to measure it; condition: the model's anatomy, None for the body alone.
    """
    from ...evaluate.cases.anatomy_condition import AnatomyCondition
    from ...evaluate.cases.dose_pairs import read_dose_pair
    from ...evaluate.cases.volumes import load_case

    condition = condition or AnatomyCondition("auto")
    if dose is None:
        return read_dose_pair(case, condition, slices, measured)
    loaded = load_case(case.files["full"], case.region, slices, dose, cache)
    return replace(loaded, anatomy=condition.of(case.name, loaded.low))
