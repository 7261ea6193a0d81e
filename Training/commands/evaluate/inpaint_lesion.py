"""`meddiff-fm evaluate inpaint-lesion`: lesions drawn into healthy CT, and in the place of real ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from ..option_groups import KeptLesions, ListOptions, SharedOptions, with_option_groups
from ..options import AnatomyOption, Diameters, KindOption, SamplerSteps, Slab, check_choice, require_packages
from .lesion_runs import LesionCases, find_lesion_cases, finish, places_in, start, write_places

if TYPE_CHECKING:
    from ...evaluate.cases.anatomy_condition import AnatomyCondition
    from ...evaluate.cases.lesions import LesionPlace

DRAWN, DRAWN_AT_1_MM = "Drawn on the grid of the model's settings.", "Drawn at 1 mm, as the paper."
BODY_ALONE = "Given the list's anatomy, else the body alone."
InpaintingQuality = Annotated[
    str, typer.Option("--quality", metavar="balanced|paper", help="As of inpaint-lesion; paper is slow.")
]
RealMasks = Annotated[
    bool, typer.Option("--real-masks", help="Draw over the real lesions too; without ellipsoids always.")
]


@dataclass(frozen=True)
class DrawnLesions:
    """The lesions to draw: their kind, the ellipsoids or real masks that they fill, and the quality."""

    kind: KindOption = "lung"
    diameters: Diameters = None
    real_masks: RealMasks = False
    quality: InpaintingQuality = "balanced"

    def check(self) -> None:
        """InputError for a quality that there is not; the kind and the diameters are checked with the cases."""
        check_choice("quality", self.quality, ("balanced", "paper"))

    @property
    def facts(self) -> dict[str, str]:
        """The options by the names that a report has them under."""
        return {"kind": self.kind, "quality": self.quality}

    @property
    def note(self) -> str:
        """The grid that lesions are drawn on, in words."""
        return DRAWN if self.quality == "balanced" else DRAWN_AT_1_MM


@with_option_groups
def evaluate_inpaint_lesion(
    shared: SharedOptions,
    *,
    drawn: DrawnLesions,
    steps: SamplerSteps = None,
    slab: Slab = None,
    anatomy: AnatomyOption = None,
    kept: KeptLesions,
    listed: ListOptions,
) -> None:
    """Draw lesions into CT, and measure them beside real ones: the paper's Table IX.

    Ellipsoids (of 12, 20 and 30 mm) come into healthy CTs: with --data a test volume, without it the repository's. The
    masks of real lesions, of --real-cases or of a --list with the columns ct, lesion, lesion_labels and region, are
    drawn over.
    """
    require_packages("matplotlib")
    from MedDiffFMLib.cli.bar import progress_bar

    from ...evaluate.cases.anatomy_condition import AnatomyCondition
    from ...evaluate.cases.synthesis import PairOptions
    from ...evaluate.tasks.lesions import add_real, inpaint_all

    kind = drawn.kind
    found = find_lesion_cases(shared, listed, kind, drawn.diameters or "12,20,30", kept)
    AnatomyCondition(anatomy).check(found.names, [lesion.anatomy for lesion in found.real])
    over = found if drawn.real_masks or not found.diameters_mm else replace(found, real=[])
    where = places_in(over, kind, PairOptions(slab_mm=slab), shared.seed)
    if kept.write_inputs:
        return write_places(kept.write_inputs, where, "ct")
    lesions, model = start(shared, "inpaint-lesion", kind, kept)
    if model is not None:
        add_real(lesions, found.real, kept.real)
        where = _with_anatomy(where, found, AnatomyCondition(anatomy, model.device))
        with progress_bar("Lesions") as progress:
            inpaint_all(lesions, where, model, found.elsewhere, progress, **drawn.facts, steps=steps, seed=shared.seed)
    facts = {**drawn.facts, "diameters_mm": found.diameters_mm, "steps": steps, "slab_mm": slab, "anatomy": anatomy}
    finish(shared, lesions, model, [drawn.note if anatomy else f"{drawn.note} {BODY_ALONE}"], facts)


def _with_anatomy(
    places: Iterable[LesionPlace], found: LesionCases, condition: AnatomyCondition
) -> Iterator[LesionPlace]:
    """The places with the anatomy of their CTs, which is found once for each."""
    listed_anatomy = {lesion.name: lesion.anatomy for lesion in found.real}
    known = {}

    def with_anatomy(place: LesionPlace) -> LesionPlace:
        name = place.case if place.is_real else place.pair.name
        if name not in known:
            known.clear()  # the places of a CT follow one another
            known[name] = condition.of(name, place.pair.ct, listed_anatomy.get(name) if place.is_real else None)
        return replace(place, anatomy=known[name])

    return map(with_anatomy, places)
