"""`meddiff-fm evaluate generate-lesion` and `inpaint-lesion`: lesions that were drawn, beside real ones (paper, Tables
VIII and IX).
"""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.loading import Model
from MedDiffFMLib.progress import ProgressCallback
from MedDiffFMLib.tasks.generate_lesion import generate_lesion
from MedDiffFMLib.tasks.inpaint_lesion import inpaint_lesion
from MedDiffFMLib.tasks.synthesize import synthesize
from MedDiffFMLib.volumes.volume import Volume

from ..cases.lesions import LesionPlace, RealLesion
from ..cases.results import resampled_result, result_methods
from ..cases.volumes import trained_on
from ..metrics.anatomy import mean
from ..metrics.lesions import measure_change, measure_lesion
from ..reports import paper
from ..reports.report import Metric, Report, ReportRow
from . import nnunet
from .synthesize import ImageMetrics, Measured, distances, measure, with_ms_ssim

REAL, HEALTHY = "real", "the same place, before"
LOOKS = {
    "hu_mean": Metric("HU mean", "", 0),
    "hu_sd": Metric("HU sd", "", 0),
    "rim": Metric("rim, HU/mm", "", 0),
    "halfway_dice": Metric("half-way Dice", "up", 2),
}
DRAWN = {"change_dice": Metric("change Dice", "up", 2), "seeds_apart": Metric("two seeds, HU", "", 0)}
SIMILAR = {"ms_ssim": paper.MS_SSIM, "lpips": paper.LPIPS, "fid": paper.FID, "mmd": paper.MMD}
COLUMNS = {
    "generate-lesion": SIMILAR | {"dice": paper.DICE} | LOOKS,
    "inpaint-lesion": {"dice": paper.DICE} | LOOKS | DRAWN,
}
PAPER = {
    "generate-lesion": ("Table VIII", paper.TABLE_VIII, paper.SYNTHESIS),
    "inpaint-lesion": ("Table IX", paper.TABLE_IX, (paper.DICE,)),
}
MEASURED = "measured.json"


@dataclass
class Lesions:
    """The measurements: a dictionary a lesion (case, method, and the names of `COLUMNS`), and by method what only all
    together have (FID, MMD). keep: nnU-Net's folder, None for none; facts and notes are what it was made with.
    """

    task: str
    kind: str
    keep: Path | None = None
    cases: list[dict] = field(default_factory=list)
    together: dict[str, dict] = field(default_factory=dict)
    facts: dict = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, case: str, method: str, ct: Volume, lesion: np.ndarray, kept: bool = True, **more) -> None:
        """Measure a lesion in a CT, and keep both for nnU-Net if there is a folder for it."""
        file = f"{'real' if method == REAL else 'drawn'}_{case}"
        looks = measure_lesion(ct.voxels, lesion, ct.spacing[::-1])
        values = {"case": case, "method": method, "dice": None, **looks, **more}
        if kept and self.keep is not None:
            nnunet.write_case(self.keep, file, ct, lesion)
            values["file"] = file
        self.cases.append(values)

    def add_similarity(self, method: str, rows: Sequence[Measured]) -> None:
        """Add to a method's cases, in their order, how similar their CTs are to the real ones, and to the method what
        only all of them together have.
        """
        own = [case for case in self.cases if case["method"] == method]
        for case, row in zip(own, with_ms_ssim(rows), strict=True):
            case |= {name: row.values[name] for name in ("ms_ssim", "lpips")}
        self.together[method] = dict(zip(("fid", "mmd"), distances(rows), strict=True))

    def save(self, facts: dict, notes: list[str]) -> None:
        """Beside the kept images, so that the Dice of an nnU-Net can join later."""
        content = {"task": self.task, "kind": self.kind, "cases": self.cases, "together": self.together}
        content |= {"facts": facts, "notes": notes}
        (self.keep / MEASURED).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def add_real(lesions: Lesions, real: Iterable[RealLesion], keep: bool) -> None:
    """Real lesions, one CT in memory at a time; they are kept for nnU-Net only if wanted."""

    def add(one: RealLesion) -> None:
        lesions.add(one.name, REAL, *one.read(), kept=keep, trained_on=trained_on(one.name))

    _one_by_one(add, real)


def inpaint_all(
    lesions: Lesions,
    places: Iterable[LesionPlace],
    model: Model,
    elsewhere: Sequence[Path] = (),
    progress: ProgressCallback | None = None,
    **parameters,
) -> None:
    """Two lesions of two seeds in each place, a healthy place as it was, and the CTs into which other methods drew
    lesions of the same masks (a folder a method). One place is in memory at a time. parameters: of `inpaint_lesion`.
    """

    def inpaint(place: LesionPlace) -> None:
        ct, mask, region = place.pair.ct, place.lesion, place.pair.region
        result = inpaint_lesion(ct, place.mask, model, place.anatomy, progress, region=region, samples=2, **parameters)
        one, other = (volume.voxels.astype(np.float64) for volume in result.volumes)
        apart = float(np.abs(one - other)[mask].mean())
        seen = {"trained_on": trained_on(place.pair.name)}
        if not place.is_real:
            lesions.add(place.name, HEALTHY, ct, mask, kept=False, **seen)
        for seed, volume in zip(result.facts.seeds, result.volumes, strict=True):
            change = measure_change(volume.voxels, ct.voxels, mask)
            lesions.add(f"{place.name}_seed{seed}", model.name, volume, mask, seeds_apart=apart, **change, **seen)
        for method, run in result_methods(elsewhere, place.case, ct):
            hu = run()
            change = measure_change(hu, ct.voxels, mask)
            lesions.add(f"{place.name}_{method}", method, ct.with_voxels(hu), mask, elsewhere=True, **change)

    _one_by_one(inpaint, places)


def generate_all(
    lesions: Lesions,
    places: Iterable[LesionPlace],
    model: Model,
    metrics: ImageMetrics,
    elsewhere: Sequence[Path] = (),
    progress: ProgressCallback | None = None,
    **parameters,
) -> list[Measured]:
    """A synthetic CT with a lesion in each place, and those that other methods made (a folder a method), beside the
    real CT of its label map; the model's beside the synthetic CT of the same seed without a lesion, too. One place is
    in memory at a time. parameters: of `generate_lesion`. Returns what was measured of all images.
    """
    rows: dict[str, list[Measured]] = {model.name: [], **{folder.resolve().name: [] for folder in elsewhere}}
    twin: dict[str, np.ndarray] = {}
    same = {"quality": parameters["quality"], "seed": parameters["seed"], "steps": parameters.get("synthesis_steps")}

    def generate(place: LesionPlace) -> None:
        pair = place.pair
        if pair.name not in twin:
            twin.clear()
            twin[pair.name] = synthesize(pair.labels, model, progress, region=pair.region, **same).volumes[0].voxels
        result = generate_lesion(pair.labels, place.mask, model, progress, region=pair.region, **parameters)
        volume = result.volumes[0]
        rows[model.name].append(measure(pair, volume.voxels, model.name, metrics))
        change = measure_change(volume.voxels, twin[pair.name], place.lesion)
        lesions.add(place.name, model.name, volume, place.lesion, trained_on=trained_on(pair.name), **change)
        for folder in elsewhere:
            method, hu = folder.resolve().name, resampled_result(folder, place.case, pair.ct)
            rows[method].append(measure(pair, hu, method, metrics))
            lesions.add(f"{place.name}_{method}", method, pair.ct.with_voxels(hu), place.lesion, elsewhere=True)

    _one_by_one(generate, places)
    for method, measured in rows.items():
        lesions.add_similarity(method, measured)
    return list(itertools.chain(*rows.values()))


def _one_by_one(function: Callable[[object], None], cases: Iterable) -> None:
    """Call a function with each case and hold none: a loop would keep the one before while the next is read."""
    deque(map(function, cases), maxlen=0)


def with_dice(keep: Path, predictions: Path, task: str, lesion_labels: Sequence[int] = ()) -> Lesions:
    """The measurements that `--keep` left, with the Dice of an nnU-Net's predictions. lesion_labels: as of
    `dice_of_predictions`. InputError if it is of another task or missing.
    """
    file = keep / MEASURED
    if not file.is_file():
        raise InputError(f"There is no {file}: make the images first, with --keep {keep} alone.")
    content = json.loads(file.read_text(encoding="utf-8"))
    if content["task"] != task:
        raise InputError(f"{keep} holds the images of {content['task']}: use evaluate {content['task']}.")
    found = nnunet.dice_of_predictions(keep, predictions, lesion_labels)
    lesions = Lesions(**content)
    for case in lesions.cases:
        case["dice"] = found.get(case.get("file"))
    return lesions


def report_of(lesions: Lesions, notes: Sequence[str], facts: dict) -> Report:
    """The table in the layout of the paper's, one group, its methods below one another."""
    columns, lines = COLUMNS[lesions.task], []
    for method in dict.fromkeys(case["method"] for case in lesions.cases):
        chosen = [case for case in lesions.cases if case["method"] == method]
        star = " *" if any(case.get("trained_on") for case in chosen) else ""
        one_by_one = {name: mean([case.get(name) for case in chosen]) for name in columns}
        values = one_by_one | lesions.together.get(method, {})
        lines.append(ReportRow(lesions.kind, method + star, tuple(values.get(name) for name in columns)))
    table, rows, metrics = PAPER[lesions.task]
    title = {"generate-lesion": "Lesion generation", "inpaint-lesion": "Lesion inpainting"}[lesions.task]
    criteria = notes_on(lesions)
    return Report(
        lesions.task,
        title,
        tuple(columns.values()),
        lines,
        table,
        rows,
        metrics,
        [*criteria, *notes],
        facts,
        lesions.cases,
    )


def notes_on(lesions: Lesions) -> list[str]:
    """Against the criteria: within the range of real lesions, nothing changed outside, and what the columns mean."""
    real = [case for case in lesions.cases if case["method"] == REAL]
    here = [case for case in lesions.cases if not case.get("elsewhere")]
    drawn = [case for case in here if case["method"] not in (REAL, HEALTHY)]
    notes = []
    if real and drawn:
        for name, metric in LOOKS.items():
            low, high = (end(case[name] for case in real) for end in (min, max))
            within = sum(low <= case[name] <= high for case in drawn)
            ends = f"{metric.text(low)} to {metric.text(high)}"
            notes.append(f"{metric.name}: {len(real)} real lesions {ends}; {within} of {len(drawn)} drawn within.")
    outside = sum(case.get("changed_outside", 0) for case in drawn)
    against = "the synthetic CT of the same seed" if lesions.task == "generate-lesion" else "the CT"
    notes.append(f"Voxels outside the masks that differ from {against}: {outside}.")
    if all(case["dice"] is None for case in lesions.cases):
        notes.append("Dice: of an nnU-Net trained on real lesions, not measured: --keep, then --segmentations.")
    notes.append("Rim: mean |HU difference| of neighboring pixels across the mask's edge, per mm.")
    notes.append(
        "Half-way Dice: the mask and a threshold half-way between lesion and surroundings (6 mm); change Dice: the "
        "mask and where the change is more than half its median. Neither is the paper's Dice."
    )
    if any(case.get("trained_on") for case in lesions.cases):
        notes.append("* with volumes that the bundled model was trained on")
    return notes
