"""Lesion generation: a CT that nobody has, with a lesion, from a label map and a lesion mask (paper, III-E2).

The paper samples the whole volume with the ControlNet. Here the anatomy is synthesized without it, coarse levels first
where the quality has them, and then the ControlNet draws the lesion in the windows that meet it, by RePaint. The
ControlNet speaks of nothing but the lesion, so this costs a few windows more than synthesis alone; and the same seed
gives the same patient with another lesion, or with none (`synthesize`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..anatomy.body_regions import region_at
from ..anatomy.lesion_masks import check_place, lesion_voxels
from ..anatomy.region_detection import region_of_labels
from ..anatomy.regions import REGIONS, Region
from ..anatomy.tissue import BODY_LABEL, with_body
from ..models.loading import Model, load_model
from ..parameters import GenerateLesionParameters
from ..progress import ProgressCallback, Reporter
from ..volumes.frame import prepare
from ..volumes.volume import Volume
from .by_region import share_of
from .lesion_inpainter import LesionPainter, choose_kind, lesion_settings
from .scan import Scan, check_anatomy
from .synthesize import look as look_at_synthesis
from .synthesize import synthesize

SYNTHESIS_SHARE = 0.5  # of the progress bar; which part is longer depends on the sizes of body and lesion


@dataclass(frozen=True)
class GenerateLesionResult:
    """Synthetic CTs with a lesion on the label map's grid (HU, int16), one a sample, and facts."""

    volumes: tuple[Volume, ...]
    facts: dict

    def outputs(self) -> dict:
        return {"output": list(self.volumes)}

    def summary(self) -> str:
        number, lesion = len(self.volumes), self.facts["lesion"]
        what = f"{number} synthetic CT{'s' * (number > 1)} with a {lesion['kind']} lesion of {lesion['lesion_ml']:g} ml"
        return f"{what} ({lesion['region']}; {self.facts['network_evaluations']} network evaluations)"


def generate_lesion(
    anatomy: Volume,
    lesion_mask: Volume,
    model: Model | None = None,
    progress: ProgressCallback | None = None,
    **parameters,
) -> GenerateLesionResult:
    """Make CTs with a lesion that nobody has.

    anatomy: labels 0–121 on any grid, as for `synthesize`; lesion_mask: on the same grid, everything above 0 is
    lesion. parameters: those of `GenerateLesionParameters`. Outside the mask sample n equals sample n of `synthesize`
    with the same seed, region, quality and (synthesis) steps. InputError as of `synthesize` and `inpaint_lesion`; what
    `progress` raises passes through.
    """
    wanted, model = GenerateLesionParameters.from_dict(parameters), model or load_model()
    settings = lesion_settings(model, wanted)
    labels, region = _checked(anatomy, lesion_mask, model, wanted)
    made = synthesize(anatomy, model, share_of(progress, 0.0, SYNTHESIS_SHARE), **_for_synthesis(wanted))
    volumes, facts, each = [], {}, (1 - SYNTHESIS_SHARE) / wanted.samples
    for number, healthy in enumerate(made.volumes):
        first = SYNTHESIS_SHARE + number * each
        reporter = Reporter(share_of(progress, first, first + each))
        scan = _scan(healthy, labels, region, settings.spacing_mm)
        painter = LesionPainter(model, scan, lesion_mask, labels, wanted.kind, settings, reporter)
        reporter.begin(painter.evaluations, painter.windows, show=painter.as_volume)
        volumes.append(painter.paint(wanted.seed + number))
        facts = painter.facts(wanted.samples)
    total = made.facts["network_evaluations"] + facts["network_evaluations"]
    return GenerateLesionResult(tuple(volumes), made.facts | {"lesion": facts, "network_evaluations": total})


def look(
    anatomy: Volume,
    lesion_mask: Volume,
    model: Model | None = None,
    progress: ProgressCallback | None = None,
    **parameters,
) -> dict:
    """What `generate_lesion` with these arguments would do, without doing it: `region`, `network_evaluations`, and
    `seconds_each`, measured on a window of the synthesis. Errors as of `generate_lesion`.
    """
    wanted, model = GenerateLesionParameters.from_dict(parameters), model or load_model()
    labels, region = _checked(anatomy, lesion_mask, model, wanted)
    found = look_at_synthesis(anatomy, model, progress, **_for_synthesis(wanted))
    if region is None:
        return found
    settings = lesion_settings(model, wanted)
    blank = anatomy.with_voxels(np.where(labels.voxels > 0, 0, -1000).astype(np.int16))
    scan = _scan(blank, labels, region, settings.spacing_mm)
    painter = LesionPainter(model, scan, lesion_mask, labels, wanted.kind, settings, Reporter(progress))
    of_lesions = painter.evaluations * painter.windows * wanted.samples
    return found | {"network_evaluations": found["network_evaluations"] + of_lesions}


def _checked(
    anatomy: Volume, lesion_mask: Volume, model: Model, wanted: GenerateLesionParameters
) -> tuple[Volume, Region | None]:
    """As `_complete`; InputError for what lesion and kind lack is said before the long part."""
    check_anatomy(anatomy, anatomy)
    lesion = lesion_voxels(lesion_mask, anatomy, "anatomy")
    labels, region = _complete(anatomy, lesion, wanted.region)
    if region is not None:  # else synthesis refuses
        check_place(lesion, labels.voxels > 0, lesion_mask.source)
        choose_kind(model, wanted.kind, region)
    return labels, region


def _for_synthesis(wanted: GenerateLesionParameters) -> dict:
    same = {name: getattr(wanted, name) for name in ("region", "quality", "samples", "overlap", "seed")}
    return same | {"steps": wanted.synthesis_steps}


def _complete(anatomy: Volume, lesion: np.ndarray, region: str) -> tuple[Volume, Region | None]:
    """The label map with a body, as `synthesize` completes it, and its region, in a whole body that of the part where
    the lesion lies; None if nothing tells.
    """
    frame = prepare(anatomy)
    labels = frame.labels(anatomy)
    if BODY_LABEL not in labels:
        labels = with_body(labels, frame.spacing)
    if region == "auto":
        place = frame.labels(anatomy.with_voxels(lesion.astype(np.uint8))) > 0
        found = region_at(place, labels, frame.spacing, default=region_of_labels(labels))
    else:
        found = REGIONS[region]
    return anatomy.with_voxels(np.rint(frame.restore(labels)).astype(np.uint8)), found


def _scan(healthy: Volume, labels: Volume, region: Region, spacing_mm: float | None) -> Scan:
    """A synthetic CT as a scan whose body is known."""
    frame = prepare(healthy, spacing_mm)
    return Scan(frame, frame.labels(labels) > 0, region, region.window)
