"""`meddiff-fm evaluate generate-lesion`: synthetic CTs with lesions, beside real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..option_groups import KeptLesions, ListOptions, SharedOptions, SynthesisOptions, with_option_groups
from ..options import Diameters, FeaturesOption, KindOption, SynthesisAnatomyOption, check_choice, require_packages
from .lesion_runs import LesionCases, find_lesion_cases, finish, places_in, start, write_places

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from MedDiffFMLib.anatomy.label_maps.reading import Anatomy
    from MedDiffFMLib.volumes.volume import Volume

    from ...evaluate.cases.synthesis import PairOptions
    from ...evaluate.metrics.features import Features


@with_option_groups
def evaluate_generate_lesion(
    shared: SharedOptions,
    *,
    kind: KindOption = "lung",
    diameters: Diameters = None,
    synthesis: SynthesisOptions,
    anatomy: SynthesisAnatomyOption = "given",
    features: FeaturesOption = "model",
    kept: KeptLesions,
    listed: ListOptions,
) -> None:
    """Make CTs with lesions from label maps and lesion masks, and measure them: the paper's Table VIII.

    The label maps are those of healthy CTs, with new ellipsoids (20 mm), and of CTs with real lesions, with their
    masks: of --real-cases, or of a --list with the columns ct, lesion, lesion_labels, anatomy and region.
    """
    require_packages("medmetric", "matplotlib")
    from MedDiffFMLib.cli.bar import progress_bar

    from ...evaluate.metrics.features import load_features
    from ...evaluate.tasks.lesions import add_real, generate_all
    from ...evaluate.tasks.synthesize import ImageMetrics, kernel_of

    check_choice("anatomy", anatomy, ("given", "threshold"))
    found = find_lesion_cases(shared, listed, kind, diameters or "20", kept)
    options = _pair_options(found, shared, synthesis, anatomy)  # refused before anything is written
    if kept.write_inputs:
        return write_places(kept.write_inputs, places_in(found, kind, options, shared.seed), "labels")
    lesions, model = start(shared, "generate-lesion", kind, kept)
    notes, network = [], None
    if model is not None:
        network = load_features(features, model)
        add_real(lesions, found.real, kept.real)
        where = places_in(found, kind, options, shared.seed)
        sampling = {"kind": kind, "seed": shared.seed} | _steps(synthesis)
        with progress_bar("Lesions") as progress:
            rows = generate_all(lesions, where, model, ImageMetrics(network), found.elsewhere, progress, **sampling)
        notes = similarity_notes(network, kernel_of(rows))
    facts = {"kind": kind, "diameters_mm": found.diameters_mm, **synthesis.facts, "anatomy": anatomy}
    finish(shared, lesions, model, notes, facts | {"features": network and network.name})


def _pair_options(found: LesionCases, shared: SharedOptions, synthesis: SynthesisOptions, anatomy: str) -> PairOptions:
    """How CTs and their label maps are read. InputError if TotalSegmentator is asked for and cannot run."""
    from MedDiffFMLib.models.device import choose_device

    from ...evaluate.cases.synthesis import PairOptions

    segment = _segmenter(found, choose_device(shared.device))
    return PairOptions(synthesis.spacing or None, synthesis.slab, segment, anatomy == "given")


def _steps(synthesis: SynthesisOptions) -> dict:
    """The quality and its steps as `generate_lesion` takes them: the paper's draws CT and lesion at once."""
    name = "synthesis_steps" if synthesis.quality == "paper" else "steps"
    return {"quality": synthesis.quality, name: synthesis.steps}


def _segmenter(found: LesionCases, device: torch.device | None) -> Callable[[Volume], Anatomy] | None:
    """TotalSegmentator where a line's anatomy is auto, else nothing. InputError if it cannot run."""
    from .synthesize import choose_segmenter

    needs_segmenter = any(lesion.anatomy == "auto" for lesion in found.real)
    return choose_segmenter("totalsegmentator", device) if needs_segmenter else None


def similarity_notes(network: Features | None, kernel: int | None) -> list[str]:
    """The notes of a report on MS-SSIM, LPIPS, FID and MMD."""
    first = f"MS-SSIM: beside the real CT of the label map, 3D, kernel {kernel}³." if kernel else "MS-SSIM: too small."
    return [first, network.note if network else "LPIPS, FID, MMD: not measured (--features none)."]
