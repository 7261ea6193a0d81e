"""Steps that `evaluate inpaint-lesion` and `generate-lesion` share: their start, their CTs, their report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..option_groups import KeptLesions, SharedOptions

if TYPE_CHECKING:
    from MedDiffFMLib.models.loading import Model

    from ...evaluate.cases.lesions import RealLesion
    from ...evaluate.tasks.lesions import Lesions


def start(shared: SharedOptions, task: str, kind: str, kept: KeptLesions) -> tuple[Lesions, Model | None]:
    """Empty lesions and the model to measure; with segmentations the kept lesions with their Dice, and None."""
    from ...evaluate.tasks.lesions import Lesions, with_dice
    from ...evaluate.tasks.nnunet import start_folder

    if kept.segmentations is not None:
        return with_dice(kept.keep, kept.segmentations, task), None
    healthy_files(shared, kind)
    model = shared.load_model()
    if kept.keep is not None:
        start_folder(kept.keep)
    return Lesions(task, kind, kept.keep), model


def finish(shared: SharedOptions, lesions: Lesions, model: Model | None, notes: list[str], options: dict) -> None:
    """Save the lesions for an nnU-Net if they are kept, and emit the report."""
    from ...evaluate.tasks.lesions import report_of

    facts = options if model is None else options | {"model": model.name, "sha256": model.sha256}
    if lesions.keep is not None and model is not None:
        lesions.save(facts, notes)
    shared.emit(report_of(lesions, lesions.notes or notes, lesions.facts or facts), model)


def healthy_files(shared: SharedOptions, kind: str) -> dict[Path, str]:
    """{file: region} of the CTs that lesions are drawn into: those named, or the test's (the repository's) of the
    kind's region.
    """
    from ...evaluate.cases.volumes import REPOSITORY, TEST, find_volume, named_cases

    region = "chest" if kind == "lung" else "abdomen"
    usual = {name: where for name, where in (TEST if shared.data else REPOSITORY).items() if where == region}
    return {find_volume(shared.data, n): r for n, r in named_cases(shared.cases, usual).items()}


def real_lesions_of(shared: SharedOptions, kind: str, kept: KeptLesions) -> list[RealLesion]:
    """The real lesions of --data: those named, or those known of the kind; none without --data."""
    from ...evaluate.cases.lesions import REAL, real_lesions

    names = kept.real_cases
    if shared.data is None or names == "none":
        return []
    return real_lesions(shared.data, names.split(",") if names else REAL.get(kind, ()), kind)
