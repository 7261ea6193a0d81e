"""Thin slices in a single evaluation, by a ControlNet trained for it: beyond the paper.

The ControlNet, conditioned on the thick slices, and the locked U-Net make of x_t = √ᾱ_t·s the estimate
x̂_0 = (x_t − √(1 − ᾱ_t)·ε̂)/√ᾱ_t, at the one t that they were trained at (`ControlNetConfig.direct_t`). s is the cubic
spline that keeps the block means; no noise is added, so there is nothing to draw. Trained by squared errors, x̂_0 tends
to the mean of all thin slices that the thick ones allow: nearer to the truth than a sample of them, and smoother.
Averaged over mirror images, which it was trained on too, it comes nearer still; and nearer by far with a refiner
(see `refinement.thick_slices`).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from ..diffusion.samplers import predict_x0
from ..diffusion.slice_operators import cubic_slices
from ..inference.noise_predictor import NoisePredictor, worth_in_tiles
from ..inference.tiles import TilePlan, Tiling
from ..models.components import REFINERS
from ..models.loading import Model
from ..networks.controlnet import ControlNet
from ..networks.refiner import COST, Refiner
from ..progress import Reporter
from ..refinement.thick_slices import THICK_SLICES, ThickSliceInputs
from ..volumes.intensity import to_hu, to_model
from ..volumes.volume import Volume
from .known_anatomy import KnownAnatomy
from .scan import Scan, analyze_scan
from .thin_slices import SliceSplit, thin_noise_predictor

ONE_STEP = "super-resolution-direct"
MIRRORS = ((), (-1,), (-3,), (-3, -1))  # along no axis, x, z, both


def is_one_step(control: ControlNet | None) -> bool:
    """Whether the ControlNet is one for a single evaluation."""
    return control is not None and control.config.direct_t is not None


def thick_slices_refiner(model: Model, control: ControlNet | None) -> Refiner | None:
    """The model's refiner, where it has one and slices are made in a single evaluation, which that corrects."""
    has_refiner = is_one_step(control) and THICK_SLICES.kind in REFINERS.names(model.folder)
    return model.refiner(THICK_SLICES.kind) if has_refiner else None


def noiseless_start(
    thick_hu: torch.Tensor, factor: int, axis: int, window: tuple[float, float], alpha: float
) -> torch.Tensor:
    """The start x_t = √ᾱ_t·s in the model's range: s of thick slices in HU (Z, Y, X), clipped to the window."""
    s = to_model(cubic_slices(thick_hu, factor, axis).numpy(), window)
    return math.sqrt(alpha) * torch.from_numpy(s)


def one_step_estimate(
    scan: Scan, eps: NoisePredictor, split: SliceSplit, mirrored: int, reporter: Reporter
) -> np.ndarray:
    """The thin slices in HU, within the window, by a single evaluation: (Z, Y, X).

    mirrored: how many of `MIRRORS` are averaged, a progress step each.
    """
    t, model = eps.control.config.direct_t, eps.model
    alpha = float(model.schedule.alpha_bar[t])
    thick = torch.from_numpy(scan.frame.hu)
    x_t = noiseless_start(thick, split.factor, split.axis, scan.window, alpha).to(model.device)
    body, done = scan.body.repeat(split.factor, split.axis), reporter.done
    images = [eps if not axes else _mirrored(eps, body, axes) for axes in MIRRORS[:mirrored]]
    x0 = torch.zeros_like(x_t)
    for number, (image, axes) in enumerate(zip(images, MIRRORS, strict=False)):
        seen = x_t.flip(axes)
        x0 += predict_x0(seen, image(seen, t), alpha).flip(axes) / len(images)
        reporter.step(done + number, t, x0)
    return to_hu(x0.clamp(-1, 1).cpu().numpy(), scan.window)


def one_step_costs(plan: TilePlan, body: np.ndarray, mirrored: int) -> list[float]:
    """The cost of each step of `one_step_estimate` in tiles. body: bool, on the thin grid."""
    return [len(plan.touching(np.flip(body, axes))) for axes in MIRRORS[:mirrored]]


def cost_of_refining(model: Model, plan: TilePlan, scan: Scan, split: SliceSplit, mirrored: int) -> float:
    """The cost of the refiner's pass over the thin slices in tiles."""
    return worth_in_tiles(model, plan, scan.voxels_in_box * split.factor, COST * mirrored)


def apply_refiner(
    model: Model,
    refiner: Refiner,
    scan: Scan,
    estimate: np.ndarray,
    split: SliceSplit,
    mirrored: int,
    reporter: Reporter,
    spread: np.ndarray | None = None,
) -> np.ndarray:
    """The estimate (HU, thin, (Z, Y, X)) after the refiner where there is a body, HU within the window. spread: takes,
    if given, the standard deviation of the refiner's answers over the orientations in HU.
    """
    device, result = next(refiner.parameters()).device, estimate.copy()
    for box in scan.body_box:
        thin = list(box)
        thin[split.axis] = slice(box[split.axis].start * split.factor, box[split.axis].stop * split.factor)
        inputs = thick_slice_inputs(scan.x[box], to_model(estimate[tuple(thin)], scan.window), split).to(device)
        apart = None if spread is None else torch.zeros_like(inputs.of_model, dtype=torch.float32)
        with torch.inference_mode(), model.autocast():
            x0 = inputs.apply_refiner(model.evaluator(refiner), mirrored, reporter.part, apart)
        result[tuple(thin)] = to_hu(x0.clamp(-1, 1).movedim(0, split.axis).cpu().numpy(), scan.window)
        if spread is not None:
            low, high = scan.window
            spread[tuple(thin)] = apart.movedim(0, split.axis).cpu().numpy() * ((high - low) / 2)
    model.release_memory()
    reporter.next_step()
    return result


def thick_slice_inputs(thick: np.ndarray, thin: np.ndarray, split: SliceSplit) -> ThickSliceInputs:
    """The inputs of a refiner from slices and estimate (Z, Y, X), in the model's range; the split axis comes first."""
    return ThickSliceInputs(*(torch.from_numpy(image).movedim(split.axis, 0) for image in (thick, thin)), split.factor)


def refiner_training_sample(volume: Volume, model: Model, factor: int, region: str) -> tuple[Scan, ThickSliceInputs]:
    """An axial scan of one region and the refiner's inputs for it, as `train refine` needs them."""
    reporter, split = Reporter(None), SliceSplit(-3, factor)
    scan = analyze_scan(volume, region, reporter)
    labels = KnownAnatomy().labels(scan)
    eps = thin_noise_predictor(scan, split, labels, model, model.controlnet(ONE_STEP), Tiling(), reporter)
    estimate = one_step_estimate(scan, eps, split, 1, reporter)
    return scan, thick_slice_inputs(scan.x, to_model(estimate, scan.window), split)


def _mirrored(eps: NoisePredictor, body: np.ndarray, axes: Sequence[int]) -> NoisePredictor:
    """The noise prediction of the volume mirrored along `axes`, without its place in the body: that is not mirrored."""
    image, conditions = copy.copy(eps), eps.conditions
    labels, target = np.flip(conditions.labels, axes), np.flip(conditions.target, axes)
    image.conditions = replace(conditions, labels=labels, target=target, placed=False)
    image.active = eps.plan.touching(np.flip(body, axes))
    active = {tile.start for tile in image.active}
    image.skipped = [tile for tile in eps.plan.tiles if tile.start not in active]
    return image
