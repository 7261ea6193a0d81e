"""`meddiff-fm evaluate denoise`: the model beside classical tools on simulated low dose."""

from __future__ import annotations

from ..option_groups import SharedOptions, with_option_groups
from ..options import CLASSICAL, QUALITIES, Cache, CentralSlices, Qualities, Tools, chosen, require_packages


@with_option_groups
def evaluate_denoise(
    shared: SharedOptions,
    slices: CentralSlices = None,
    tools: Tools = "bm3d,nlm,nlm3,tv,curvature",
    qualities: Qualities = "fast,balanced",
    cache: Cache = None,
) -> None:
    """Denoise simulated low-dose CT with the model and with classical tools; PSNR and SSIM inside the body.

    With --data the three test volumes, without it the small ones of the repository.
    """
    require_packages("astra", "skimage", "bm3d", "matplotlib")
    from ...evaluate.cases.volumes import REPOSITORY, TEST, find_volume, load_case, named_cases

    chosen_tools, chosen_qualities = chosen(tools, CLASSICAL, "tool"), chosen(qualities, QUALITIES, "quality")
    regions = named_cases(shared.cases, TEST if shared.data else REPOSITORY)
    files = {name: find_volume(shared.data, name) for name in regions}

    from ...evaluate.tasks.denoise import evaluate_denoising

    model = shared.load_model() if chosen_qualities else None
    slabs = (load_case(files[name], region, slices, shared.seed, cache) for name, region in regions.items())
    report = evaluate_denoising(slabs, chosen_tools, chosen_qualities, model, shared.seed)
    shared.emit(report, model, slices=slices)
