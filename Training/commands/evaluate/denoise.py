"""`meddiff-fm evaluate denoise`: the model beside classical tools on low dose, simulated or real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from MedDiffFMLib.errors import InputError

from ..option_groups import SharedOptions, with_option_groups
from ..options import (
    CLASSICAL,
    QUALITIES,
    AnatomyOption,
    Cache,
    CentralSlices,
    InputsOption,
    PairsOption,
    Qualities,
    ResultOption,
    Tools,
    WindowOption,
    check_window,
    chosen,
    require_packages,
)

if TYPE_CHECKING:
    import numpy as np

    from ...evaluate.cases.anatomy_condition import AnatomyCondition
    from ...evaluate.cases.case_list import ListedCase
    from ...evaluate.cases.volumes import LowDoseCase
    from ...evaluate.metrics.psnr_ssim import Counting


@dataclass(frozen=True)
class DoseOptions:
    """Real pairs of low and full dose, and the noise that methods are given."""

    pairs: PairsOption = None
    low: Annotated[Path | None, typer.Option("--low", metavar="FILE", help="A scan in low dose …")] = None
    full: Annotated[Path | None, typer.Option("--full", metavar="FILE", help="… and the same in full dose.")] = None
    region: Annotated[str, typer.Option("--region", help="Region of --low and --full.")] = "abdomen"
    sigma: Annotated[
        float | None, typer.Option("--sigma", min=0.1, metavar="HU", help="Noise of real low dose. Default: measured.")
    ] = None

    def check(self) -> None:
        """InputError for half a pair, or pairs named in two ways."""
        if (self.low is None) != (self.full is None):
            raise InputError("--low and --full are two doses of one scan: give both files, or neither.")
        if self.low is not None and self.pairs is not None:
            raise InputError("--pairs lists all pairs: give it, or --low and --full, not both.")
        if self.sigma is not None and self.low is None and self.pairs is None:
            raise InputError("--sigma is the noise of real low dose: give it with --pairs, or --low and --full.")

    def cases(self, shared: SharedOptions) -> list[ListedCase] | None:
        """The real pairs; None if none is named."""
        from ...evaluate.cases.case_list import ListedCase, read_case_list
        from ...evaluate.cases.dose_pairs import DOSE_LIST
        from ...evaluate.cases.volumes import PROTOCOL

        if self.low is None and self.pairs is None:
            return None
        if shared.data or shared.cases:
            raise InputError("Real pairs are all that is measured: leave out --data and --cases.")
        if self.pairs is not None:
            return read_case_list(self.pairs, DOSE_LIST)
        if self.region not in PROTOCOL:
            raise InputError(f"There is no region {self.region!r}: use {', '.join(PROTOCOL)}.")
        for file in (self.low, self.full):
            if not file.exists():
                raise InputError(f"{file} does not exist; check the path.")
        name = self.low.name.removesuffix(".gz").removesuffix(".nii")
        return [ListedCase(name, self.region, {"low": self.low, "full": self.full})]


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
        Path | None, typer.Option("--red-cnn", metavar="DIR", help="A run of `train red-cnn`, as one more method.")
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
    """
    require_packages("astra", "skimage", "bm3d", "matplotlib")
    from ...evaluate.cases.anatomy_condition import AnatomyCondition
    from ...evaluate.cases.inputs import write_inputs
    from ...evaluate.cases.results import check_results
    from ...evaluate.tasks.denoise import DenoisingMethods, evaluate_denoising

    chosen_tools, chosen_qualities = methods.chosen()
    cases = (pairs := dose.cases(shared)) or simulated_cases(shared)
    load = partial(_load, real=pairs is not None, settings=(slices, dose.sigma, shared.seed, cache))
    if other.write_inputs:
        return write_inputs(other.write_inputs, ((case.name, {"low": load(case).low}) for case in cases))
    names = [case.name for case in cases]
    check_results(other.result or [], names)
    if chosen_qualities or anatomy:
        AnatomyCondition(anatomy).check(names, [case.anatomy for case in cases])
    model = shared.load_model() if chosen_qualities else None
    condition = AnatomyCondition(anatomy, model.device) if model else AnatomyCondition("auto")
    slabs, counted = (load(case, condition) for case in cases), counting.counted
    compared = (chosen_tools, chosen_qualities, model, shared.seed, other.networks(), other.result or [])
    report = evaluate_denoising(slabs, DenoisingMethods(*compared), counted)
    shared.emit(report, model, slices=slices, anatomy=anatomy, whole_image=counted.whole_image)


def simulated_cases(shared: SharedOptions) -> Sequence[ListedCase]:
    """The volumes of --data, or of the repository, whose low dose is simulated."""
    from ...evaluate.cases.case_list import ListedCase
    from ...evaluate.cases.volumes import REPOSITORY, TEST, find_volume, named_cases

    regions = named_cases(shared.cases, TEST if shared.data else REPOSITORY)
    return [ListedCase(n, region, {"full": find_volume(shared.data, n)}) for n, region in regions.items()]


def _load(case: ListedCase, condition: AnatomyCondition | None = None, *, real: bool, settings: tuple) -> LowDoseCase:
    """A case in low and full dose. condition: its anatomy, None for the body alone."""
    from ...evaluate.cases.anatomy_condition import AnatomyCondition
    from ...evaluate.cases.dose_pairs import read_dose_pair
    from ...evaluate.cases.volumes import load_case

    condition = condition or AnatomyCondition("auto")
    slices, sigma_hu, seed, cache = settings
    if real:
        return read_dose_pair(case, condition, slices, sigma_hu)
    loaded = load_case(case.files["full"], case.region, slices, seed, cache)
    return replace(loaded, anatomy=condition.of(case.name, loaded.low))
