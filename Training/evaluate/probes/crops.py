"""Crops of a store's cases, sampled by a model under their conditions: what the checks of training look at.

They are drawn as in training, but alike for every model: crop and noise come from (seed, number) alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from MedDiffFMLib.anatomy.regions import REGIONS, Region
from MedDiffFMLib.diffusion.samplers import clip, ddim
from MedDiffFMLib.models.loading import Model
from MedDiffFMLib.networks.controlnet import ControlNet
from MedDiffFMLib.networks.unet import as_eps
from MedDiffFMLib.volumes.intensity import to_hu

from ...data.crop import Crop
from ...data.crop_config import CropConfig
from ...data.crops import draw_crop
from ...data.store import Case


@dataclass(frozen=True)
class Sample:
    """A crop with the noise that its synthesis begins with, (1, Z, Y, X)."""

    crop: Crop
    noise: torch.Tensor

    @property
    def region(self) -> Region:
        return next(region for region in REGIONS.values() if region.index == self.crop.region)

    def hu(self, x0: torch.Tensor) -> np.ndarray:
        """x_0 (1, Z, Y, X) in HU, (Z, Y, X)."""
        return to_hu(x0[0].numpy(), self.region.window)


def draw_samples(cases: Sequence[Case], config: CropConfig, count: int, seed: int) -> list[Sample]:
    """`count` crops and their noise."""
    samples = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        crop = draw_crop(rng, cases, config)
        samples.append(Sample(crop, torch.from_numpy(rng.standard_normal(crop.x0.shape, dtype=np.float32))))
    return samples


def output_of(
    model: Model, crop: Crop, control: ControlNet | None = None, target: torch.Tensor | None = None
) -> Callable[[torch.Tensor, int], torch.Tensor]:
    """The network's output at (x_t, t) for a crop's conditions, x_t (1, Z, Y, X). target: the input of `control`."""
    position, anatomy = (code[None] for code in crop.codes(model.network.config.encoding, model.device))
    region = torch.tensor([crop.region], device=model.device)
    target_batch = None if target is None else target[None].to(model.device)

    @torch.inference_mode()
    def output(x: torch.Tensor, t: int) -> torch.Tensor:
        inputs = (x[None].to(model.device), torch.tensor([t], device=model.device), position, anatomy, region)
        with torch.autocast(model.device.type, model.dtype, enabled=model.dtype != torch.float32):
            residuals = control(*inputs, target_batch) if control is not None else None
            return model.network(*inputs, residuals)[0].float().cpu()

    return output


def synthesize_crop(
    model: Model,
    sample: Sample,
    steps: Sequence[int],
    control: ControlNet | None = None,
    target: torch.Tensor | None = None,
    noise: torch.Tensor | None = None,
) -> torch.Tensor:
    """DDIM from the sample's noise (or another) over `steps`, as synthesis does it: x_0 (1, Z, Y, X) in [-1, 1]."""
    output, prediction = output_of(model, sample.crop, control, target), model.network.config.prediction

    def eps(x: torch.Tensor, t: int) -> torch.Tensor:
        return as_eps(output(x, t), x, float(model.schedule.alpha_bar[t]), prediction)

    return ddim(eps, sample.noise if noise is None else noise, model.schedule, steps, clip)
