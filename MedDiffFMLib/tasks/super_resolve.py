"""Super-resolution across slices: thin slices whose means are the thick ones (paper, III-E1; paper eq. 12).

y_0 = H·x_0, H the mean by the slices' profile, or that of `factor` slices;
x_start = √ᾱ·(y_0 interpolated) + √(1 − ᾱ)·z,  then DiffPIR with the
data step of paper eq. 12, conditioned on the thick slices by a ControlNet. A model that has a ControlNet for a single
evaluation (`one_step_slices`) uses that instead, followed by its refiner `thick-slices`, except in quality `paper`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from ..anatomy.body_regions import RegionBlender, RegionSpan, whole_scan
from ..models.loading import Model, load_model
from ..parameters import SuperResolveParameters
from ..parameters.super_resolve import THIN_MM
from ..progress import ProgressCallback, Reporter
from ..refinement.thick_slices import THICK_SLICES
from ..volumes.checks import ensure_ct
from ..volumes.volume import Volume, cast_like
from .facts import RegionFacts, SuperResolveFacts
from .known_anatomy import KnownAnatomy, check_anatomy, resolve_anatomy
from .one_step_slices import thick_slices_refiner
from .scan import Scan, analyze_scan
from .settings import settings_for
from .super_resolve_region import QUALITIES, SliceSplitter, choose_controlnet
from .thin_slices import (
    SliceSplit,
    SliceThickness,
    choose_factor,
    in_plane_grid,
    interpolated_alone,
    on_input_axes,
    slice_axis,
    slice_thickness,
)
from .uncertainty import Uncertainty, check_orientations

PLANES = {-3: "axial", -2: "coronal", -1: "sagittal"}


@dataclass(frozen=True)
class SuperResolveResult:
    """The thin slices (the input's type and place), how many replace one, facts, and the uncertainty in HU, if it was
    asked for.
    """

    volume: Volume
    factor: int
    facts: SuperResolveFacts
    uncertainty: Volume | None = None

    def outputs(self) -> dict:
        return {"output": [self.volume]} | ({"uncertainty": [self.uncertainty]} if self.uncertainty else {})

    def summary(self) -> str:
        (few, many), (before, after) = self.facts.slices, self.facts.slice_distance_mm
        known = self.facts.slice_thickness_from != "distance"
        thick = f"{self.facts.slice_thickness_mm:g} mm thick, " if known else "as thick as they are "
        return (
            f"{few} {self.facts.plane} slices {thick}{before:g} mm apart → {many} slices {after:g} mm apart "
            f"({self.facts.region}; their means differ from the scan by at most "
            f"{self.facts.block_mean_error_hu:g} HU)"
        )


def super_resolve(
    volume: Volume,
    model: Model | None = None,
    anatomy: Volume | str = "auto",
    progress: ProgressCallback | None = None,
    uncertainty: bool = False,
    **parameters,
) -> SuperResolveResult:
    """Make thin slices from thick ones, along the axis of the largest spacing (the axial one if all are alike).

    volume: HU on any grid. anatomy: a label map (0–121) on its grid, or a word (see `known_anatomy.KnownAnatomy`).
    parameters: those of `SuperResolveParameters`. The result covers the same space; the means of its slices are the
    input's slices: by the profile that their thickness gives (`SliceProfile`; within 1/4 HU where the input is whole
    numbers), or, where that is unknown, plainly, and exactly where these are whole numbers; else within 0.01 HU. What
    lies outside the body, or beyond
    the model's HU window, comes from cubic interpolation. Quality `paper` promises neither: within the window the model
    has the last word, at 1 mm in plane. uncertainty: whether the result has the spread of the refiner's answers over
    orientations too (see `tasks.uncertainty`), as they are before the means are restored. InputError if the slices are
    thin already, if the model has no ControlNet for this and `control` is not "none", or if there is no spread.
    """
    params = SuperResolveParameters.from_dict(parameters)
    params.check_outputs(["uncertainty"] if uncertainty else [])
    return plan(volume, params, model, anatomy, Reporter(progress)).run(uncertainty)


def look(
    volume: Volume,
    model: Model | None = None,
    anatomy: Volume | str = "auto",
    progress: ProgressCallback | None = None,
    **parameters,
) -> dict:
    """An estimate of `super_resolve` with these arguments, without running it: `region`, `factor`,
    `slice_thickness_mm` and the like, as the facts name them, `network_evaluations`, `seconds_each`, measured on one
    tile, and `seconds`, of all, the refiner included. Errors as of `super_resolve`.
    """
    params = SuperResolveParameters.from_dict(parameters)
    return plan(volume, params, model, anatomy, Reporter(progress), for_estimate=True).estimate()


def plan(
    volume: Volume,
    params: SuperResolveParameters,
    model: Model | None,
    anatomy: Volume | str,
    reporter: Reporter,
    for_estimate: bool = False,
) -> SuperResolvePlan:
    """The super-resolution of a CT, ready to run. Arguments and errors as of `super_resolve`.

    for_estimate: TotalSegmentator does not run.
    """
    volume = ensure_ct(volume)
    check_anatomy(anatomy, volume)
    model = model or load_model()
    factor = choose_factor(volume, params)
    settings = settings_for(model, "super-resolve", QUALITIES[params.quality], params.quality, params.overlap)
    control = choose_controlnet(model, params)
    refiner = thick_slices_refiner(model, control)
    known = resolve_anatomy(anatomy, volume, reporter, model.device, for_estimate)
    scan = analyze_scan(volume, params.region, reporter, in_plane_grid(volume, settings.pixel_mm))
    axis = slice_axis(scan.frame.spacing)
    thickness = slice_thickness(volume, params)
    by_profile = settings.exact_means and thickness.source != "distance"
    split = SliceSplit(axis, factor, thickness.mm / scan.frame.spacing[axis] if by_profile else None)
    labels = known.labels(scan)
    by_region = params.region == "auto" and split.axis == -3
    spans = scan.regions(labels) if by_region else [whole_scan(scan.region, len(scan.body))]
    whole_numbers = np.issubdtype(volume.voxels.dtype, np.integer)
    splitter = SliceSplitter(split, model, control, refiner, settings, params, reporter, whole_numbers)
    parts = [(span, scan.part(span)) for span in spans]
    return SuperResolvePlan(scan, known, labels, parts, splitter, thickness)


@dataclass(frozen=True)
class SuperResolvePlan:
    """A CT and the regions of it whose slices will be split, with the label map of its conditions."""

    scan: Scan
    anatomy: KnownAnatomy
    labels: np.ndarray
    regions: list[tuple[RegionSpan, Scan]]
    splitter: SliceSplitter
    thickness: SliceThickness

    def estimate(self) -> dict:
        """Region, factor and costs, as `look` returns them."""
        steps, plans = self.splitter.steps, [self.splitter.tile_plan(part) for _, part in self.regions]
        count = len(steps) * sum(active for _, active in plans)
        cost = count + sum(sum(self.splitter.costs(part)[len(steps) :]) for _, part in self.regions)
        seconds = None
        for (span, part), (_, active) in zip(self.regions, plans, strict=True):
            if active:
                seconds = self.splitter.seconds_each(part, self.labels[span.z])
                break
        region = " + ".join(part.region.name for _, part in self.regions)
        found = {"region": region, "factor": self.splitter.split.factor, **self._thickness_facts()}
        return {**found, "network_evaluations": count, "seconds_each": seconds, "seconds": seconds and seconds * cost}

    def run(self, uncertainty: bool = False) -> SuperResolveResult:
        """The thin slices of each region, joined without a seam. A thick slice counts in a region as a whole, so that
        the mean of those it becomes stays what it is. InputError if there is no uncertainty.
        """
        spread = self._uncertainty() if uncertainty else None
        costs = [cost for _, part in self.regions for cost in self.splitter.costs(part)]
        self.splitter.reporter.begin(len(costs), costs[0], costs)
        if len(self.regions) == 1:
            hu = self._of_region(*self.regions[0], spread)
        else:
            hu = self._joined(spread)
        split, source, facts = self.splitter.split, self.scan.frame.source, self._facts(hu)
        thin = on_input_axes(self.scan, hu.numpy(), split)
        thin = thin.with_voxels(cast_like(thin.voxels, like=source))
        if spread is None:
            return SuperResolveResult(thin, split.factor, facts)
        apart = spread.on(lambda hu: on_input_axes(self.scan, hu, split, outside=0))
        return SuperResolveResult(thin, split.factor, replace(facts, uncertainty=spread.facts(apart)), apart)

    def _uncertainty(self) -> Uncertainty:
        """The uncertainty, still to be filled. InputError if there is but one orientation."""
        check_orientations(self.splitter.orientations, self.splitter.model.name)
        split, shape = self.splitter.split, list(self.scan.body.shape)
        shape[split.axis] *= split.factor
        return Uncertainty(tuple(shape), self.splitter.orientations)

    def _of_region(self, span: RegionSpan, part: Scan, spread: Uncertainty | None) -> torch.Tensor:
        """The thin slices of a region in HU. spread: the scan's, to which the region's is added."""
        split, labels = self.splitter.split, self.labels[span.z]
        if spread is None:
            return self.splitter.make_thin_slices(part, labels)
        kept = interpolated_alone(part, split).numpy()
        apart = np.zeros(kept.shape, np.float32)
        hu = self.splitter.make_thin_slices(part, labels, apart)
        spread.add(span.times(split.factor if split.axis == -3 else 1), apart, kept)
        return hu

    def _joined(self, spread: Uncertainty | None) -> torch.Tensor:
        """The thin slices of all regions in HU, joined without a seam."""
        split, thick = self.splitter.split, torch.from_numpy(self.scan.frame.hu)
        whole = RegionBlender((thick.shape[0] * split.factor, *thick.shape[1:]))
        for span, part in self.regions:
            whole.add(span.times(split.factor), self._of_region(span, part, spread).numpy())
        hu = torch.from_numpy(whole.values)
        if not self.splitter.settings.exact_means:
            return hu
        return self.splitter.as_stored(split.with_means(hu, thick))

    def _facts(self, hu: torch.Tensor) -> SuperResolveFacts:
        scan, split, params = self.scan, self.splitter.split, self.splitter.params
        before, count = scan.frame.spacing[split.axis], scan.frame.hu.shape[split.axis]
        error = split.means(hu) - torch.from_numpy(scan.frame.hu)
        return SuperResolveFacts(
            plane=PLANES[split.axis],
            factor=split.factor,
            slices=[count, count * split.factor],
            slice_distance_mm=[round(before, 4), round(before / split.factor, 4)],
            slice_distance_asked_mm=None if params.factor else params.spacing or THIN_MM,
            **self._thickness_facts(),
            block_mean_error_hu=round(float(error.abs().max()), 4),
            anatomy=str(self.anatomy),
            control=self.splitter.control_name,
            refiner=THICK_SLICES.kind if self.splitter.refiner else "none",
            regions=[self._region_facts(span, part) for span, part in self.regions],
        )

    def _thickness_facts(self) -> dict:
        """Thickness, from where it is known, and which means follow."""
        means = "plain" if self.splitter.split.thickness is None else "profile"
        return {
            "slice_thickness_mm": round(self.thickness.mm, 4),
            "slice_thickness_from": self.thickness.source,
            "slice_means": means,
        }

    def _region_facts(self, span: RegionSpan, part: Scan) -> RegionFacts:
        tiles, active = self.splitter.tile_plan(part)
        return RegionFacts(
            region=part.region.name,
            window_hu=list(part.window),
            timesteps=self.splitter.steps,
            windows=active,
            windows_of_air=len(tiles.tiles) - active,
            network_evaluations=len(self.splitter.steps) * active,
            mm_superior=list(self.scan.span_mm(span)),
        )
