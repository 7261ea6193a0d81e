"""Lesion inpainting: the same CT with a lesion inside a mask (paper, III-E3; paper eq. 13)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from ..anatomy.lesion_masks import bounding_box, lesion_voxels
from ..anatomy.region_detection import detect_region
from ..models.loading import Model, load_model
from ..parameters import InpaintLesionParameters
from ..progress import ProgressCallback, Reporter
from ..volumes.checks import ensure_ct
from ..volumes.volume import Volume
from .facts import InpaintLesionFacts
from .known_anatomy import KnownAnatomy, check_anatomy, resolve_anatomy
from .lesion_inpainter import LesionInpainter, lesion_settings
from .scan import Scan, analyze_scan

AROUND_MM = 50.0  # of the scan above and below a lesion, by which its region is found


@dataclass(frozen=True)
class InpaintLesionResult:
    """The CT with a lesion (the input's grid and type), one a sample, and facts."""

    volumes: tuple[Volume, ...]
    facts: InpaintLesionFacts

    def outputs(self) -> dict:
        return {"output": list(self.volumes)}

    def summary(self) -> str:
        number = len(self.volumes)
        what = f"{number} CT{'s' * (number > 1)} with a {self.facts.kind} lesion of {self.facts.lesion_ml:g} ml"
        return f"{what} ({self.facts.region}; {self.facts.network_evaluations} network evaluations)"


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
    the same grid, or a word (see `KnownAnatomy`). parameters: those of `InpaintLesionParameters`; sample n of a
    seed is sample 1 of seed + n − 1. Every voxel outside the mask is bit-identical; all within are new, also those
    beyond the HU window, and fade into what was there over the first millimeters of depth. InputError for a mask that
    is empty, too large, outside the body, on another grid or at the volume's border; what `progress` raises passes
    through.
    """
    params = InpaintLesionParameters.from_dict(parameters)
    return plan(volume, lesion_mask, params, model, anatomy, Reporter(progress)).run()


def look(
    volume: Volume,
    lesion_mask: Volume,
    model: Model | None = None,
    anatomy: Volume | str = "auto",
    progress: ProgressCallback | None = None,
    **parameters,
) -> dict:
    """An estimate of `inpaint_lesion` with these arguments, without running it: `region`, `kind`,
    `network_evaluations`, and `seconds_each`, measured on one tile. Errors as of `inpaint_lesion`.
    """
    params = InpaintLesionParameters.from_dict(parameters)
    return plan(volume, lesion_mask, params, model, anatomy, Reporter(progress), for_estimate=True).estimate()


def plan(
    volume: Volume,
    lesion_mask: Volume,
    params: InpaintLesionParameters,
    model: Model | None,
    anatomy: Volume | str,
    reporter: Reporter,
    for_estimate: bool = False,
) -> InpaintLesionPlan:
    """The inpainting of a lesion, ready to run. Arguments and errors as of `inpaint_lesion`.

    for_estimate: TotalSegmentator does not run.
    """
    volume = ensure_ct(volume)
    check_anatomy(anatomy, volume)
    lesion_voxels(lesion_mask, volume)
    model = model or load_model()
    known = resolve_anatomy(anatomy, volume, reporter, model.device, for_estimate)
    settings = lesion_settings(model, params)
    scan = analyze_scan(volume, params.region, reporter, settings.spacing_mm)
    if params.region == "auto":
        scan = _at_the_lesion(scan, lesion_mask)
    inpainter = LesionInpainter(model, scan, lesion_mask, known.labels(scan), params.kind, settings, reporter)
    return InpaintLesionPlan(inpainter, known, params, reporter)


@dataclass(frozen=True)
class InpaintLesionPlan:
    """A CT and a lesion's mask, ready to be inpainted."""

    inpainter: LesionInpainter
    anatomy: KnownAnatomy
    params: InpaintLesionParameters
    reporter: Reporter

    def estimate(self) -> dict:
        """Region, kind and costs, as `look` returns them."""
        return self.inpainter.estimate(self.params.samples)

    def run(self) -> InpaintLesionResult:
        """The result: all samples are drawn, one after the other."""
        inpainter, samples = self.inpainter, self.params.samples
        self.reporter.begin(inpainter.evaluations * samples, inpainter.tiles, make_preview=inpainter.as_volume)
        seeds = [self.params.seed + number for number in range(samples)]
        volumes = tuple(inpainter.inpaint(seed) for seed in seeds)
        facts = InpaintLesionFacts(**asdict(inpainter.facts(samples)), anatomy=str(self.anatomy), seeds=seeds)
        return InpaintLesionResult(volumes, facts)


def _at_the_lesion(scan: Scan, lesion_mask: Volume) -> Scan:
    """The scan with the region of the slices about the lesion: most of a scan may be abdomen, and the lesion in the
    lung.
    """
    lesion = scan.frame.labels(lesion_mask.with_voxels((lesion_mask.voxels > 0).astype(np.uint8))) > 0
    if not lesion.any():
        return scan
    (first, last), around = bounding_box(lesion)[0], round(AROUND_MM / scan.frame.spacing[0])
    around_lesion = slice(max(first - around, 0), last + around)
    region = detect_region(scan.image.slices(around_lesion))
    return replace(scan, region=region, window=region.window)
