"""Thick slices split into thin ones: along which axis, what surrounds the model's estimate, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
import torch

from ..diffusion.slice_operators import (
    CONTROL_INPUTS,
    block_mean,
    cubic_slices,
    limit_within_blocks,
    lower_within_blocks,
    neighbor_range,
    project_to_block_means,
    replicate,
    rim_ceiling,
    round_in_blocks,
)
from ..diffusion.slice_profile import SliceProfile, round_sums, slice_profile
from ..errors import InputError
from ..inference.noise_predictor import NoisePredictor
from ..inference.tiles import Tiling
from ..models.loading import Model
from ..networks.conditions import Conditions
from ..networks.controlnet import ControlNet
from ..parameters import SuperResolveParameters
from ..parameters.super_resolve import THIN_MM, THINNEST_MM, factor_for
from ..progress import Reporter
from ..volumes.frame import AIR_HU, prepare
from ..volumes.intensity import keep_beyond, to_model
from ..volumes.resampling import resample_cubic
from ..volumes.volume import Volume
from .scan import Scan

MOST_OVERLAP = 10  # thickness over distance
CT_SCALE_HU = (-1024.0, 3071.0)  # no new slice leaves it, unless the thick ones do


@dataclass(frozen=True)
class SliceSplit:
    """The split of the scan's frame: every slice along `axis` (−3, −2 or −1) into `factor` slices.

    thickness: of the thick slices as a share of their distance, which gives them their profile; None: they are the
    plain means of `factor` slices.
    """

    axis: int
    factor: int
    thickness: float | None = None

    def _profile(self, thick: torch.Tensor) -> SliceProfile:
        return slice_profile(thick.shape[self.axis], self.factor, self.thickness)

    def means(self, thin: torch.Tensor) -> torch.Tensor:
        """The thick slices that thin ones make."""
        if self.thickness is None:
            return block_mean(thin, self.factor, self.axis)
        return slice_profile(thin.shape[self.axis] // self.factor, self.factor, self.thickness).means(thin, self.axis)

    def interpolated(self, thick: torch.Tensor) -> torch.Tensor:
        """Smooth thin slices whose means are the thick ones."""
        if self.thickness is None:
            return cubic_slices(thick, self.factor, self.axis)
        return self._profile(thick).smoothest(thick, self.axis)

    def with_means(self, thin: torch.Tensor, thick: torch.Tensor) -> torch.Tensor:
        """The nearest image to `thin` whose means are `thick`."""
        if self.thickness is None:
            return project_to_block_means(thin, thick, self.factor, self.axis)
        return self._profile(thick).project(thin, thick, self.axis)

    def limited(self, thin: torch.Tensor, thick: torch.Tensor) -> torch.Tensor:
        """The thin slices in HU, whose means are `thick`, on the scale of CT and without bright rims."""
        floor, top = min(CT_SCALE_HU[0], float(thick.min())), max(CT_SCALE_HU[1], float(thick.max()))
        ceiling = rim_ceiling(thick, self.axis)
        if self.thickness is not None:
            return self._profile(thick).limit(thin, thick, self.axis, floor, top, ceiling)
        thin = lower_within_blocks(thin, thick, self.factor, self.axis, ceiling)
        return limit_within_blocks(thin, thick, self.factor, self.axis, floor, top)

    def rounded(self, thin: torch.Tensor) -> torch.Tensor:
        """The thin slices as whole numbers: plain means stay exactly, those of a profile within 1/4."""
        if self.thickness is None:
            return round_in_blocks(thin, self.factor, self.axis)
        return round_sums(thin, self.axis)


def choose_factor(volume: Volume, params: SuperResolveParameters) -> int:
    """The factor asked for, or that whose slices come nearest to the distance asked for. InputError if that is 1."""
    name, thick = volume.source or "The volume", max(volume.spacing)
    goal = params.spacing or THIN_MM
    factor = params.factor or factor_for(thick, goal)
    if factor == 1:
        raise InputError(
            f"{name} has slices {thick:g} mm apart, and no even split of them comes nearer to {goal:g} mm: "
            "name a smaller --spacing, or a --factor."
        )
    if thick / factor < THINNEST_MM:
        raise InputError(
            f"{name} has slices {thick:g} mm apart; a {factor}th of that is thinner than any scan, {THINNEST_MM:g} mm: "
            "name a smaller --factor."
        )
    return factor


@dataclass(frozen=True)
class SliceThickness:
    """The thickness of slices in mm. source: option, dicom, or distance, where it was taken to be that."""

    mm: float
    source: str


def slice_thickness(volume: Volume, params: SuperResolveParameters) -> SliceThickness:
    """The thickness asked for, or that of the volume's own slices, if these are those to be split; else their distance.
    InputError for one that cannot be.
    """
    distance = max(volume.spacing)
    own = volume.slice_thickness if volume.spacing[2] > 0.99 * distance else None
    mm = params.thickness or own
    if mm is None:
        return SliceThickness(distance, "distance")
    if mm > MOST_OVERLAP * distance:
        raise InputError(
            f"{volume.source or 'The volume'} has slices {distance:g} mm apart, and {mm:g} mm thick: they share too "
            "much to be told apart; name another --thickness."
        )
    return SliceThickness(mm, "option" if params.thickness else "dicom")


def slice_axis(spacing: tuple[float, float, float]) -> int:
    """The axis (−3, −2 or −1) of the largest spacing (z, y, x); the first of those that are alike."""
    return next(i for i in (-3, -2, -1) if spacing[i] > 0.99 * max(spacing))


def thin_conditions(thick: Conditions, scan: Scan, split: SliceSplit, kind: str = "thick-ct") -> Conditions:
    """The conditions on the thin grid, with the input of a ControlNet of `kind` as target."""
    paired = kind == "pair"  # in training a scan of its own: HU come onto the thin grid, then into the window
    target = CONTROL_INPUTS[kind](
        torch.from_numpy(scan.frame.hu if paired else scan.x), split.factor, split.axis
    ).numpy()
    target = to_model(target, scan.window) if paired else target
    return replace(thick, labels=thick.labels.repeat(split.factor, split.axis), target=target[None])


def thin_noise_predictor(
    scan: Scan,
    split: SliceSplit,
    labels: np.ndarray,
    model: Model,
    control: ControlNet | None,
    tiling: Tiling,
    reporter: Reporter,
) -> NoisePredictor:
    """The noise prediction on the thin grid. labels: the label map of the conditions on the scan's own grid."""
    return NoisePredictor(
        model,
        thin_conditions(scan.conditions(model, labels), scan, split, control.config.kind if control else "thick-ct"),
        scan.body.repeat(split.factor, split.axis),
        air=scan.air,
        tiling=tiling,
        on_tile=reporter.part,
        control=control,
    )


def compose_thin_slices(estimate: np.ndarray, scan: Scan, split: SliceSplit) -> torch.Tensor:
    """Thin slices in HU on the scan's frame: the estimate where the model applies, their means the thick ones.

    estimate: HU within the window. What the slices have beyond the window (bone, lung, gas) is added to it as cubic
    interpolation gives it. Outside the body the result is interpolation alone, and also where a thick slice and both
    its neighbors are beyond the same end of the window.
    """
    thick, (low, high) = torch.from_numpy(scan.frame.hu), scan.window
    smooth = split.interpolated(thick)
    change = torch.from_numpy(estimate) - smooth.clamp(low, high)
    change[interpolated_alone(scan, split)] = 0
    return split.limited(split.with_means(smooth.add_(change), thick), thick)


def interpolated_alone(scan: Scan, split: SliceSplit) -> torch.Tensor:
    """Where `compose_thin_slices` takes nothing from the estimate: bool, on the thin grid."""
    thick, body = torch.from_numpy(scan.frame.hu), torch.from_numpy(scan.body)
    (low, high), (lowest, highest) = scan.window, neighbor_range(thick, split.axis)
    return replicate(~body | (lowest > high) | (highest < low), split.factor, split.axis)


def thin_slices_as_estimated(estimate: np.ndarray, scan: Scan, split: SliceSplit) -> torch.Tensor:
    """Thin slices in HU on the scan's frame as the model estimates them; values beyond the window come from cubic
    interpolation (see `keep_beyond`). The means of the slices are not the thick ones then.
    """
    smooth = cubic_slices(torch.from_numpy(scan.frame.hu), split.factor, split.axis)
    return torch.from_numpy(keep_beyond(smooth.numpy(), estimate, scan.window))


def in_plane_grid(volume: Volume, pixel_mm: float | None) -> tuple[float, float, float] | None:
    """The spacing (z, y, x) in RAS order with `pixel_mm` in plane and the volume's own across its slices; None without
    a `pixel_mm`.
    """
    if pixel_mm is None:
        return None
    spacing = prepare(volume).spacing
    axis = slice_axis(spacing)
    return tuple(spacing[i] if i == axis else pixel_mm for i in (-3, -2, -1))


def split_slices(volume: Volume, axis: int, factor: int, voxels: np.ndarray) -> Volume:
    """`voxels` as the volume with every slice along `axis` (−3, −2 or −1) split: the same faces, other centers."""
    i = -1 - axis
    spacing = list(volume.spacing)
    spacing[i] /= factor
    along = np.reshape(volume.direction, (3, 3))[:, i]
    origin = np.array(volume.origin) - along * (spacing[i] * (factor - 1) / 2)
    return Volume(voxels, tuple(spacing), tuple(origin.tolist()), volume.direction, volume.source)


def on_input_axes(scan: Scan, hu: np.ndarray, split: SliceSplit, outside: float = AIR_HU) -> Volume:
    """Thin slices (Z, Y, X) in the input's order of axes and its pixels, float32; `outside` beyond the frame."""
    source = scan.frame.source
    image = split_slices(scan.frame.volume, split.axis, split.factor, hu).to_sitk()
    if scan.frame.resampled:
        thick = prepare(source).volume
        grid = split_slices(
            thick, split.axis, split.factor, np.repeat(thick.voxels, split.factor, split.axis)
        ).to_sitk()
        image = resample_cubic(image, grid, outside)
    code = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(source.direction)
    return Volume.from_sitk(sitk.DICOMOrient(image, code), source.source)
