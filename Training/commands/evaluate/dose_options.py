"""The low doses of `meddiff-fm evaluate denoise`: real ones, or those to simulate."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from MedDiffFMLib.errors import InputError

from ..option_groups import SharedOptions
from ..options import PairsOption, check_choice

if TYPE_CHECKING:
    from ...evaluate.cases.case_list import ListedCase
    from ...evaluate.cases.volumes import Dose

SIMULATORS = ("parallel", "fan")
KERNELS = ("hann", "shepp-logan", "ram-lak")


@dataclass(frozen=True)
class DoseOptions:
    """Real pairs of low and full dose, or what is simulated, and the noise that methods are given."""

    pairs: PairsOption = None
    low: Annotated[Path | None, typer.Option("--low", metavar="FILE", help="A scan in low dose …")] = None
    full: Annotated[Path | None, typer.Option("--full", metavar="FILE", help="… and the same in full dose.")] = None
    region: Annotated[str, typer.Option("--region", help="Region of --low and --full.")] = "abdomen"
    sigma: Annotated[
        str | None,
        typer.Option(
            "--sigma", metavar="HU,...", help="Noise to simulate (default: 30, chest 60), or of real pairs (measured)."
        ),
    ] = None
    simulator: Annotated[
        str, typer.Option("--simulator", metavar="parallel|fan", help="As training's noise, or of another geometry.")
    ] = "parallel"
    kernels: Annotated[
        str, typer.Option("--kernels", metavar="hann,shepp-logan,ram-lak", help="Of the simulated scans.")
    ] = "hann"
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many noises of each dose, from --seed on.")] = 1

    def check(self) -> None:
        """InputError for half a pair, pairs named in two ways, or doses that there are not."""
        if (self.low is None) != (self.full is None):
            raise InputError("--low and --full are two doses of one scan: give both files, or neither.")
        if self.low is not None and self.pairs is not None:
            raise InputError("--pairs lists all pairs: give it, or --low and --full, not both.")
        check_choice("simulator", self.simulator, SIMULATORS)
        for kernel in self._kernels:
            check_choice("kernel", kernel, KERNELS)
        if self.real and (self.simulator, self.kernels, self.seeds) != ("parallel", "hann", 1):
            raise InputError("Nothing is simulated for real pairs: leave out --simulator, --kernels and --seeds.")
        if self.real and len(self._sigmas) > 1:
            raise InputError("--sigma is the noise of real low dose: give one number of HU, or none to measure it.")

    @property
    def real(self) -> bool:
        """Whether the low dose is that of scans."""
        return self.low is not None or self.pairs is not None

    @property
    def measured(self) -> float | None:
        """The noise of real low dose that methods are given; None to measure it."""
        return self._sigmas[0]

    def doses(self, seed: int) -> list[Dose]:
        """What is simulated of each case: every noise by every kernel, with every seed."""
        from ...evaluate.cases.volumes import Dose

        seeds = range(seed, seed + self.seeds)
        return [Dose(self.simulator, *one) for one in itertools.product(self._sigmas, self._kernels, seeds)]

    def cases(self, shared: SharedOptions) -> list[ListedCase] | None:
        """The real pairs; None if none is named."""
        from ...evaluate.cases.case_list import ListedCase, read_case_list
        from ...evaluate.cases.dose_pairs import DOSE_LIST
        from ...evaluate.cases.volumes import PROTOCOL

        if not self.real:
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

    def check_others(self, doses: int, inputs: Path | None, results: Sequence[Path] | None) -> None:
        """InputError if images of other methods, which are named after their case, would have to be of many doses."""
        if doses > 1 and (inputs or results):
            raise InputError(
                "--write-inputs and --result have one image of each case: give one --sigma, one of --kernels, and no "
                "--seeds."
            )

    @property
    def _kernels(self) -> list[str]:
        return [name.strip() for name in self.kernels.split(",")]

    @property
    def _sigmas(self) -> list[float | None]:
        """The numbers of --sigma; None if it was not given. InputError for what is no noise."""
        try:
            found = [None] if self.sigma is None else [float(text) for text in self.sigma.split(",")]
        except ValueError:
            found = [math.nan]
        if not all(one is None or 0.1 <= one <= 1000 for one in found):
            raise InputError(f"--sigma cannot be {self.sigma!r}: give HU from 0.1 to 1000, with commas.")
        return found
