"""`meddiff-fm evaluate generate-lesion`: synthetic CTs with lesions, beside real ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..option_groups import KeptLesions, SharedOptions, SynthesisOptions, with_option_groups
from ..options import AnatomyTold, Diameters, FeaturesOption, KindOption, check_choice, require_packages
from .lesion_runs import finish, healthy_files, real_lesions_of, start

if TYPE_CHECKING:
    from ...evaluate.cases.lesions import LesionPlace, RealLesion
    from ...evaluate.metrics.features import Features


@with_option_groups
def evaluate_generate_lesion(
    shared: SharedOptions,
    *,
    kind: KindOption = "lung",
    diameters: Diameters = "20",
    synthesis: SynthesisOptions,
    anatomy: AnatomyTold = "given",
    features: FeaturesOption = "model",
    kept: KeptLesions,
) -> None:
    """Make CTs with lesions from label maps and lesion masks, and measure them: the paper's Table VIII.

    The label maps are those of healthy CTs, with new ellipsoids, and of CTs with real lesions, with their masks.
    """
    require_packages("medmetric", "matplotlib")
    from MedDiffFMLib.cli.bar import progress_bar

    from ...evaluate.cases.lesions import read_diameters
    from ...evaluate.metrics.features import load_features
    from ...evaluate.metrics.similarity import kernel_that_fits
    from ...evaluate.tasks.lesions import add_real, generate_all
    from ...evaluate.tasks.synthesize import ImageMetrics

    check_choice("anatomy", anatomy, ("given", "threshold"))
    sizes = read_diameters(diameters)
    lesions, model = start(shared, "generate-lesion", kind, kept)
    notes, network = [], None
    if model is not None:
        network = load_features(features, model)
        real = real_lesions_of(shared, kind, kept)
        add_real(lesions, real, kept.real)
        where = _places(shared, kind, sizes, real, synthesis, anatomy == "given")
        kernel = kernel_that_fits([place.pair.ct.voxels.shape for place in where])
        with progress_bar("Lesions") as progress:
            sampling = {"kind": kind, "quality": synthesis.quality, "steps": synthesis.steps, "seed": shared.seed}
            generate_all(lesions, where, model, ImageMetrics(network, kernel), progress, **sampling)
        notes = similarity_notes(network, kernel)
    facts = {"kind": kind, "diameters_mm": sizes, **synthesis.facts, "anatomy": anatomy}
    finish(shared, lesions, model, notes, facts | {"features": network and network.name})


def _places(
    shared: SharedOptions,
    kind: str,
    diameters_mm: Sequence[float],
    real: Sequence[RealLesion],
    synthesis: SynthesisOptions,
    tell_organs: bool,
) -> list[LesionPlace]:
    """The places of new lesions in healthy CTs, then those of the real lesions in their own."""
    from ...evaluate.cases.lesions import own_place, places
    from ...evaluate.cases.synthesis import load_pair

    options = {"spacing_mm": synthesis.spacing or None, "slab_mm": synthesis.slab, "tell_organs": tell_organs}
    healthy = [load_pair(file, region, **options) for file, region in healthy_files(shared, kind).items()]
    found = [place for pair in healthy for place in places(pair, kind, diameters_mm, shared.seed)]
    return found + [
        place for lesion in real for place in own_place(lesion, load_pair(lesion.file, lesion.region, **options))
    ]


def similarity_notes(network: Features | None, kernel: int | None) -> list[str]:
    """The notes of a report on MS-SSIM, LPIPS, FID and MMD."""
    first = f"MS-SSIM: beside the real CT of the label map, 3D, kernel {kernel}³." if kernel else "MS-SSIM: too small."
    return [first, network.note if network else "LPIPS, FID, MMD: not measured (--features none)."]
