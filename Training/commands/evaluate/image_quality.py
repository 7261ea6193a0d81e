"""`meddiff-fm evaluate image-quality`: noise, grain, edges and detectability of denoising."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from MedDiffFMLib.errors import InputError

from ..option_groups import SharedOptions, with_option_groups
from ..options import CLASSICAL, QUALITIES, Qualities, Tools, check_choice, check_file, chosen, require_packages
from .dose_options import KERNELS, SIMULATORS

if TYPE_CHECKING:
    from ...evaluate.cases.image_quality import Scene
    from ...evaluate.cases.volumes import Dose


@dataclass(frozen=True)
class SceneOptions:
    """The scenes, their noise, and where curves are drawn."""

    slices: Annotated[int, typer.Option("--slices", min=8, max=200, help="Slices of a scene.")] = 16
    repeats: Annotated[int, typer.Option("--repeats", min=2, max=50, help="Images with fresh noise of each kind.")] = 2
    sigma: Annotated[float, typer.Option("--sigma", min=1, max=300, metavar="HU", help="Noise to simulate.")] = 30.0
    simulator: Annotated[str, typer.Option("--simulator", metavar="fan|parallel", help="Of the noise.")] = "fan"
    kernel: Annotated[str, typer.Option("--kernel", metavar="|".join(KERNELS), help="Of the simulated scans.")] = "hann"
    curves: Annotated[
        Path | None, typer.Option("--curves", metavar="FILE.png", help="Draw noise power and transfer there.")
    ] = None

    def check(self) -> None:
        """InputError for a simulator or kernel that there is not, or a picture that cannot be written."""
        check_choice("simulator", self.simulator, SIMULATORS)
        check_choice("kernel", self.kernel, KERNELS)
        check_file(self.curves)
        if self.curves and self.curves.suffix != ".png":
            raise InputError(
                f"Curves are drawn as PNG, but {self.curves} is named otherwise: call it {self.curves}.png."
            )

    def dose(self, seed: int) -> Dose:
        """The dose to simulate."""
        from ...evaluate.cases.volumes import Dose

        return Dose(self.simulator, self.sigma, self.kernel, seed)

    def scenes(self, shared: SharedOptions) -> list[Scene]:
        """The phantom, and the patients of --cases."""
        from MedDiffFMLib.volumes.checks import check_ct
        from MedDiffFMLib.volumes.io import read_volume

        from ...evaluate.cases.image_quality import patient, phantom
        from ...evaluate.cases.volumes import TEST, axial_slab, find_volume, named_cases

        scenes = [phantom(self.slices)]
        named = named_cases(shared.cases, TEST) if shared.cases or shared.data else {}
        for name, region in named.items():
            volume = read_volume(find_volume(shared.data, name))
            check_ct(volume)
            scenes.append(patient(name, region, axial_slab(volume, self.slices)))
        return scenes


@with_option_groups
def evaluate_image_quality(
    shared: SharedOptions,
    *,
    scenes: SceneOptions,
    tools: Tools = "bm3d,nlm3,tv",
    qualities: Qualities = "fast",
) -> None:
    """Noise, its power spectrum, edges of four contrasts, and detectability of low-contrast discs after denoising.

    In a simulated phantom, and planted in the slices of the patients that --data or --cases name. The model is measured
    at full strength and at medium, and alone.
    """
    require_packages("astra", "skimage", "bm3d", "matplotlib")
    chosen_tools, chosen_qualities = chosen(tools, CLASSICAL, "tool"), chosen(qualities, QUALITIES, "quality")
    from ...evaluate.show.image_quality_curves import plot_curves
    from ...evaluate.tasks.image_quality import QualityMethods, evaluate_image_quality

    found = scenes.scenes(shared)
    model = shared.load_model() if chosen_qualities else None
    methods = QualityMethods(chosen_tools, chosen_qualities, model, shared.seed)
    report = evaluate_image_quality(found, methods, scenes.dose(shared.seed), scenes.repeats)
    shared.emit(report, model, slices=scenes.slices)
    if scenes.curves:
        plot_curves(report, scenes.curves)
