"""Steps that `evaluate inpaint-lesion` and `generate-lesion` share: their start, their CTs, their report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from MedDiffFMLib.errors import InputError

from ..option_groups import KeptLesions, ListOptions, SharedOptions

if TYPE_CHECKING:
    from MedDiffFMLib.models.loading import Model
    from MedDiffFMLib.volumes.volume import Volume

    from ...evaluate.cases.lesions import LesionPlace, RealLesion
    from ...evaluate.cases.synthesis import PairOptions
    from ...evaluate.tasks.lesions import Lesions


@dataclass(frozen=True)
class LesionCases:
    """The CTs to draw into and to compare with: healthy CTs with their regions, the sizes of new ellipsoids in them,
    real lesions, and folders of images that other methods made.
    """

    healthy: dict[Path, str]
    diameters_mm: list[float]
    real: list[RealLesion]
    elsewhere: Sequence[Path] = ()

    @property
    def names(self) -> list[str]:
        """The names of all CTs."""
        return [*(file.name.removesuffix(".nii.gz") for file in self.healthy), *(one.name for one in self.real)]


def start(shared: SharedOptions, task: str, kind: str, kept: KeptLesions) -> tuple[Lesions, Model | None]:
    """Empty lesions and the model to measure; with segmentations the kept lesions with their Dice, and None."""
    from ...evaluate.cases.label_text import read_label_numbers
    from ...evaluate.tasks.lesions import Lesions, with_dice
    from ...evaluate.tasks.nnunet import start_folder

    if kept.segmentations is not None:
        numbers = read_label_numbers(kept.lesion_labels or "", "--lesion-labels")
        return with_dice(kept.keep, kept.segmentations, task, numbers), None
    model = shared.load_model()
    if kept.keep is not None:
        start_folder(kept.keep)
    return Lesions(task, kind, kept.keep), model


def find_lesion_cases(
    shared: SharedOptions, listed: ListOptions, kind: str, diameters: str, kept: KeptLesions
) -> LesionCases:
    """The cases of both lesion tasks, none where only the Dice of --segmentations is wanted. InputError, before any
    work, if there is nothing to draw into.

    diameters: of ellipsoids, where no list of real lesions is given, or healthy CTs are named besides.
    """
    from ...evaluate.cases.lesions import LESION_LIST, listed_lesions, organ_numbers, read_diameters
    from ...evaluate.cases.results import check_results

    if kept.segmentations is not None:
        return LesionCases({}, [], [])
    sizes = read_diameters(diameters)
    cases = listed.read(LESION_LIST)
    if sizes and (cases is None or shared.cases):
        organ_numbers(kind)
        healthy = _healthy_files(shared, kind)
    else:
        healthy, sizes = {}, []
    real = _real_lesions(shared, kind, kept) if cases is None else listed_lesions(cases)
    if not healthy and not real:
        raise InputError("There is no healthy CT and no real lesion to draw into: name cases, or --diameters.")
    check_results(kept.result or [], [] if sizes else [lesion.name for lesion in real])
    return LesionCases(healthy, sizes, real, kept.result or ())


def places_in(found: LesionCases, kind: str, options: PairOptions, seed: int) -> Iterator[LesionPlace]:
    """The places of new lesions in healthy CTs, then those of the real lesions in their own; a CT is read when its
    places are come to. A line's word `auto` is left aside where `options` find no organs. InputError, before the first,
    if another method has no image of a place.
    """
    from ...evaluate.cases.lesions import own_place, places
    from ...evaluate.cases.results import check_results
    from ...evaluate.cases.synthesis import load_pair

    def new_places(healthy: tuple[Path, str]) -> Iterator[LesionPlace]:
        yield from places(load_pair(*healthy, options), kind, found.diameters_mm, seed)

    def own_places(lesion: RealLesion) -> Iterator[LesionPlace]:
        unmet = lesion.anatomy == "auto" and options.segment is None
        pair = load_pair(lesion.file, lesion.region, options, None if unmet else lesion.anatomy)
        yield from own_place(lesion, replace(pair, name=lesion.name))  # two series may lie in folders of one name

    if found.elsewhere:
        new = chain.from_iterable(map(new_places, found.healthy.items()))
        check_results(found.elsewhere, [*(place.case for place in new), *(lesion.name for lesion in found.real)])
    return chain(
        chain.from_iterable(map(new_places, found.healthy.items())),
        chain.from_iterable(map(own_places, found.real)),
    )


def write_places(folder: Path, places: Iterable[LesionPlace], kind: str) -> None:
    """Write what a method that draws lesions is given: a place's CT or label map, as `kind` says, and its mask."""
    from ...evaluate.cases.inputs import write_inputs

    def given(place: LesionPlace) -> tuple[str, dict[str, Volume]]:
        first = {"ct": place.pair.ct, "labels": place.pair.labels}[kind]
        return place.case, {kind: first, "lesion": place.mask}

    write_inputs(folder, map(given, places))


def finish(shared: SharedOptions, lesions: Lesions, model: Model | None, notes: list[str], options: dict) -> None:
    """Save the lesions for an nnU-Net if they are kept, and emit the report."""
    from ...evaluate.tasks.lesions import report_of

    facts = options if model is None else options | {"model": model.name, "sha256": model.sha256}
    if lesions.keep is not None and model is not None:
        lesions.save(facts, notes)
    shared.emit(report_of(lesions, lesions.notes or notes, lesions.facts or facts), model)


def _healthy_files(shared: SharedOptions, kind: str) -> dict[Path, str]:
    """{file: region} of the CTs that lesions are drawn into: those named, or the test's (the repository's) of the
    kind's region.
    """
    from ...evaluate.cases.lesions import region_of_kind
    from ...evaluate.cases.volumes import REPOSITORY, TEST, find_volume, named_cases

    usual = {}
    if not shared.cases:
        region = region_of_kind(kind)
        usual = {name: where for name, where in (TEST if shared.data else REPOSITORY).items() if where == region}
    return {find_volume(shared.data, n): r for n, r in named_cases(shared.cases, usual).items()}


def _real_lesions(shared: SharedOptions, kind: str, kept: KeptLesions) -> list[RealLesion]:
    """The real lesions of --data: those named, or those known of the kind; none without --data."""
    from ...evaluate.cases.lesions import KINDS, REAL, real_lesions
    from ...evaluate.cases.volumes import named_cases

    names = kept.real_cases
    if shared.data is None or names == "none" or not (names or kind in REAL):
        return []
    parts = [part.strip() for part in (names or ",".join(REAL[kind])).split(",") if part.strip()]
    regions = {part: KINDS[kind][0] for part in parts if kind in KINDS and ":" not in part}
    return real_lesions(shared.data, named_cases(",".join(parts), {}, regions))
