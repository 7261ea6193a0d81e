"""Training pairs for a refiner: its inputs in a task, made by the task's own functions, and the truth.

"low-dose": a crop with simulated noise, what the foundation model and non-local means make of it, and the crop itself.
Half of the noise is that of `simulate-noise`; the other half has another power spectrum, by `ct_noise`, for scanners
differ in it. "thick-slices": block means of a crop, thin slices that the foundation model makes of them, and the crop;
rows or columns of a case may serve as slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from MedDiffFMLib.diffusion.slice_operators import block_mean
from MedDiffFMLib.models.loading import Model
from MedDiffFMLib.refinement.low_dose import LowDoseInputs
from MedDiffFMLib.refinement.thick_slices import ThickSliceInputs
from MedDiffFMLib.tasks import denoise, one_step_slices
from MedDiffFMLib.volumes.intensity import to_model
from MedDiffFMLib.volumes.volume import Volume

from .low_dose import NOISE_HU, SOFT_TISSUE_HU
from .noise import ct_noise
from .store import HU_RANGE, Case

LOW_DOSE_HU = {"head-neck": (19.0, 40.0), "chest": (38.0, 80.0), "abdomen": (19.0, 40.0)}  # noise that is drawn
OTHER_NOISE = 0.5  # share of pairs with noise of another power spectrum
SIGMA_ERROR = 0.1  # of the logarithm of the noise that the task is given
LEAST_BODY = 0.4  # of a crop
AXES = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)  # a store's (z, y, x) grow to superior, anterior and right


@dataclass(frozen=True)
class RefinerPair:
    """A refiner's training pair. inputs: `LowDoseInputs` or `ThickSliceInputs`; truth: (Z, Y, X) in the model's range;
    mask: bool, where it counts; weight: how often the pair is drawn.
    """

    inputs: LowDoseInputs | ThickSliceInputs
    truth: torch.Tensor
    mask: torch.Tensor
    weight: float


def draw_box(rng: np.random.Generator, body: np.ndarray, size: Sequence[int]) -> tuple[slice, ...]:
    """A box of `size` or less that the body (Z, Y, X) fills well, the best of 30 if none does."""
    best, most = None, -1.0
    size = [min(n, have) for n, have in zip(size, body.shape, strict=True)]
    for _ in range(30):
        start = [int(rng.integers(have - n + 1)) for n, have in zip(size, body.shape, strict=True)]
        box = tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))
        share = float(body[box].mean())
        if share > most:
            best, most = box, share
        if share >= LEAST_BODY:
            break
    return best


@dataclass(frozen=True)
class LowDoseCrop:
    """A crop of a case in HU, float32 (Z, Y, X): full dose, and low dose with noise of `sigma_hu`; body: bool."""

    full: np.ndarray
    low: np.ndarray
    body: np.ndarray
    sigma_hu: float


def draw_low_dose(rng: np.random.Generator, case: Case, size: Sequence[int]) -> LowDoseCrop:
    """A crop of `size` voxels or less that the body fills well, with simulated noise of its region's low doses."""
    body = np.asarray(case.labels) > 0
    box = draw_box(rng, body, size)
    full = case.hu[box].astype(np.float32)
    sigma = float(np.exp(rng.uniform(*np.log(LOW_DOSE_HU[case.facts.region]))))
    noise = _noise(rng, case, box) * np.float32(sigma / NOISE_HU)
    return LowDoseCrop(full, np.maximum(full + noise, HU_RANGE[0]), body[box], sigma)


def draw_noisy(rng: np.random.Generator, case: Case, model: Model, size: Sequence[int]) -> RefinerPair:
    """A pair for denoising. Voxels beyond the window do not count: the task keeps those of the scan."""
    crop, region = draw_low_dose(rng, case, size), case.facts.region
    full, low, sigma = crop.full, crop.low, crop.sigma_hu
    given_sigma = sigma * float(np.exp(rng.normal(0, SIGMA_ERROR)))
    scan, noisy = denoise.refiner_training_sample(_volume(low, case.facts.spacing), model, given_sigma, region)
    lowest, highest = scan.window
    mask = torch.from_numpy(crop.body & (low >= lowest) & (low <= highest))
    weight = 1 / (0.15 + (case.facts.noise_hu / sigma) ** 2)  # truth that is noisy itself teaches to keep noise
    return RefinerPair(noisy.to(torch.device("cpu")), torch.from_numpy(to_model(full, scan.window)), mask, weight)


def _noise(rng: np.random.Generator, case: Case, box: tuple[slice, ...]) -> np.ndarray:
    """Noise of low dose of `NOISE_HU` in the soft tissue of the box's slices, float32; strongest where rays starve."""
    whole = (box[0], slice(None), slice(None))
    hu, noise = case.hu[whole], case.noise[whole].astype(np.float32)
    soft = (hu > SOFT_TISSUE_HU[0]) & (hu < SOFT_TISSUE_HU[1])
    noise *= np.float32(NOISE_HU / max(float(np.std(noise[soft] if soft.any() else noise)), 1.0))
    noise = noise[(slice(None), *box[1:])]
    if rng.random() >= OTHER_NOISE:
        return noise
    strength = np.sqrt(gaussian_filter(noise**2, (2, 12, 12)))
    other = ct_noise(rng, noise.shape)
    if rng.random() < 0.3:  # overlapping slices share noise
        other = (other + (np.roll(other, 1, 0) + np.roll(other, -1, 0)) / 2) / np.float32(np.sqrt(1.5))
    return strength * other


def draw_thick(
    rng: np.random.Generator, case: Case, model: Model, size: Sequence[int], factors: Sequence[int], axis_swap: float
) -> RefinerPair:
    """A pair for super-resolution. size: of the crop, its thin slices cut to a multiple of the factor. axis_swap: the
    chance that rows or columns serve as slices.
    """
    factor = int(rng.choice(factors))
    axis = int(rng.integers(1, 3)) if rng.random() < axis_swap else 0
    order = [axis, *(other for other in range(3) if other != axis)]
    hu, body = (np.asarray(array).transpose(order) for array in (case.hu, case.labels))
    depth = min(size[0], hu.shape[0]) // factor * factor
    box = draw_box(rng, body > 0, (depth, *size[1:]))
    full = np.ascontiguousarray(hu[box]).astype(np.float32)
    thick = block_mean(torch.from_numpy(full), factor).numpy()
    spacing = [case.facts.spacing[i] for i in order]
    volume = _volume(thick, (spacing[0] * factor, *spacing[1:]))
    scan, inputs = one_step_slices.refiner_training_sample(volume, model, factor, case.facts.region)
    mask = torch.from_numpy(np.ascontiguousarray(body[box] > 0))
    mask[:factor], mask[-factor:] = False, False  # beyond them the spline knows nothing
    return RefinerPair(inputs, torch.from_numpy(to_model(full, scan.window)), mask, 1.0)


def _volume(hu: np.ndarray, spacing: Sequence[float]) -> Volume:
    return Volume(np.ascontiguousarray(hu), tuple(spacing[::-1]), direction=AXES)


def crop_and_flip(pair: RefinerPair, rng: np.random.Generator, cut: tuple[slice, slice]) -> RefinerPair:
    """The pair cut in plane to `cut` (y, x), and mirrored along any axes and transposed in plane at random."""
    flips = [axis for axis in range(3) if rng.random() < 0.5]
    transposed = rng.random() < 0.5

    def change(image: torch.Tensor) -> torch.Tensor:
        image = image[:, cut[0], cut[1]].flip(flips)
        return image.transpose(1, 2) if transposed else image

    inputs = pair.inputs
    if isinstance(inputs, LowDoseInputs):
        inputs = LowDoseInputs(
            *(change(image.float()) for image in (inputs.y, inputs.of_model, inputs.nlm)), inputs.sigma_n
        )
    else:
        inputs = ThickSliceInputs(change(inputs.thick.float()), change(inputs.of_model.float()), inputs.factor)
    return RefinerPair(inputs, change(pair.truth.float()), change(pair.mask), pair.weight)
