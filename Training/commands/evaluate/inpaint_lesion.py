"""`meddiff-fm evaluate inpaint-lesion`: lesions drawn into healthy CT, beside real ones."""

from __future__ import annotations

from ..option_groups import KeptLesions, SharedOptions, with_option_groups
from ..options import Diameters, KindOption, SamplerSteps, Slab, require_packages
from .lesion_runs import finish, healthy_files, real_lesions_of, start


@with_option_groups
def evaluate_inpaint_lesion(
    shared: SharedOptions,
    *,
    kind: KindOption = "lung",
    diameters: Diameters = "12,20,30",
    steps: SamplerSteps = None,
    slab: Slab = None,
    kept: KeptLesions,
) -> None:
    """Draw lesions into healthy CT, and measure them beside real ones: the paper's Table IX.

    With --data a test volume and the real lesions there, without it the repository's and no real ones.
    """
    require_packages("matplotlib")
    from MedDiffFMLib.cli.bar import progress_bar

    from ...evaluate.cases.lesions import places, read_diameters
    from ...evaluate.cases.synthesis import load_pair
    from ...evaluate.tasks.lesions import add_real, inpaint_all

    sizes = read_diameters(diameters)
    lesions, model = start(shared, "inpaint-lesion", kind, kept)
    if model is not None:
        add_real(lesions, real_lesions_of(shared, kind, kept), kept.real)
        pairs = [load_pair(file, region, None, slab) for file, region in healthy_files(shared, kind).items()]
        where = [place for pair in pairs for place in places(pair, kind, sizes, shared.seed)]
        with progress_bar("Lesions") as progress:
            inpaint_all(lesions, where, model, progress, kind=kind, steps=steps, seed=shared.seed)
    notes = ["Drawn on the CT's own grid, told the body alone (--anatomy auto)."]
    finish(shared, lesions, model, notes, {"kind": kind, "diameters_mm": sizes, "steps": steps, "slab_mm": slab})
