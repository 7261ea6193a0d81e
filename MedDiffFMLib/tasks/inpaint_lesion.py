"""Lesion inpainting: the same CT with a lesion where a mask says so (paper, III-E3; paper eq. 13)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..anatomy.lesion_masks import bounds, lesion_voxels
from ..anatomy.region_detection import detect_region
from ..models.loading import Model, load_model
from ..parameters import InpaintLesionParameters
from ..progress import ProgressCallback, Reporter
from ..volumes.checks import check_ct
from ..volumes.volume import Volume
from .lesion_inpainter import LesionPainter, lesion_settings
from .scan import Scan, anatomy_in_words, check_anatomy, find_anatomy, look_at

AROUND_MM = 50.0  # of the scan above and below a lesion decide on its region


@dataclass(frozen=True)
class InpaintLesionResult:
    """The CT with a lesion (the input's grid and type), one a sample, and facts."""

    volumes: tuple[Volume, ...]
    facts: dict

    def outputs(self) -> dict:
        return {"output": list(self.volumes)}

    def summary(self) -> str:
        number = len(self.volumes)
        what = f"{number} CT{'s' * (number > 1)} with a {self.facts['kind']} lesion of {self.facts['lesion_ml']:g} ml"
        return f"{what} ({self.facts['region']}; {self.facts['network_evaluations']} network evaluations)"


def inpaint_lesion(
    volume: Volume,
    lesion_mask: Volume,
    model: Model | None = None,
    anatomy: Volume | str = "auto",
    progress: ProgressCallback | None = None,
    **parameters,
) -> InpaintLesionResult:
    """Draw a lesion into a CT.

    volume: HU on any grid. lesion_mask: on the same grid, everything above 0 is lesion. anatomy: a label map (0–121) on
    the same grid, or a word (see `scan.anatomy_labels`). parameters: those of `InpaintLesionParameters`; sample n of a
    seed is sample 1 of seed + n − 1. Every voxel outside the mask is bit-identical; all within are new, also those
    beyond the HU window, and fade into what was there over the first millimetres of depth. InputError for a mask that
    is empty, too large, outside the body, on another grid or at the volume's border; what `progress` raises passes
    through.
    """
    wanted, reporter = InpaintLesionParameters.from_dict(parameters), Reporter(progress)
    _check(volume, lesion_mask, anatomy)
    model = model or load_model()
    anatomy = find_anatomy(anatomy, volume, reporter, model.device)
    painter = _painter(volume, lesion_mask, model, anatomy, wanted, reporter)
    reporter.begin(painter.evaluations * wanted.samples, painter.windows, show=painter.as_volume)
    seeds = [wanted.seed + number for number in range(wanted.samples)]
    volumes = tuple(painter.paint(seed) for seed in seeds)
    facts = painter.facts(wanted.samples) | {"anatomy": anatomy_in_words(anatomy), "seeds": seeds}
    return InpaintLesionResult(volumes, facts)


def look(
    volume: Volume,
    lesion_mask: Volume,
    model: Model | None = None,
    anatomy: Volume | str = "auto",
    progress: ProgressCallback | None = None,
    **parameters,
) -> dict:
    """What `inpaint_lesion` with these arguments would do, without doing it: `region`, `kind`, `network_evaluations`,
    and `seconds_each`, measured on one window. Errors as of `inpaint_lesion`.
    """
    wanted = InpaintLesionParameters.from_dict(parameters)
    _check(volume, lesion_mask, anatomy)
    model = model or load_model()
    anatomy = "auto" if anatomy == "totalsegmentator" else anatomy
    return _painter(volume, lesion_mask, model, anatomy, wanted, Reporter(progress)).look(wanted.samples)


def _check(volume: Volume, lesion_mask: Volume, anatomy: Volume | str) -> None:
    check_ct(volume)
    check_anatomy(anatomy, volume)
    lesion_voxels(lesion_mask, volume)


def _painter(
    volume: Volume,
    lesion_mask: Volume,
    model: Model,
    anatomy: Volume | str,
    wanted: InpaintLesionParameters,
    reporter: Reporter,
) -> LesionPainter:
    settings = lesion_settings(model, wanted)
    scan = look_at(volume, wanted.region, reporter, settings.spacing_mm)
    if wanted.region == "auto":
        scan = _at_the_lesion(scan, lesion_mask)
    return LesionPainter(model, scan, lesion_mask, anatomy, wanted.kind, settings, reporter)


def _at_the_lesion(scan: Scan, lesion_mask: Volume) -> Scan:
    """The scan with the region of the slices about the lesion: most of a scan may be abdomen, and the lesion in the
    lung.
    """
    lesion = scan.frame.labels(lesion_mask.with_voxels((lesion_mask.voxels > 0).astype(np.uint8))) > 0
    if not lesion.any():
        return scan
    (first, last), around = bounds(lesion)[0], round(AROUND_MM / scan.frame.spacing[0])
    some = slice(max(first - around, 0), last + around)
    region = detect_region(scan.frame.hu[some], scan.frame.spacing, scan.body[some])
    return replace(scan, region=region, window=region.window)
