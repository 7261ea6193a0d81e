"""One part of the body denoised: DiffPIR from x_start = √ᾱ·y [paper eq. 11], and beyond the paper

    x̂_0 = (1 − w)·x̂_θ + w·N(y),   N: non-local means

The two err in different ways (a learned prior where it does not know the anatomy, N where it finds nothing alike), so
their mean is nearer to the truth than either. A refiner `low-dose`, where the model has one, goes on from the mean
(see `refinement.low_dose`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from ..anatomy.body_regions import RegionSpan
from ..anatomy.regions import REGIONS
from ..diffusion.data_steps import denoising_data_step
from ..diffusion.samplers import diffpir, identity
from ..diffusion.schedule import uniform_steps
from ..inference.noise_predictor import NoisePredictor
from ..networks.refiner import COST as REFINER_COST
from ..networks.refiner import ORIENTATIONS, Refiner
from ..progress import Reporter
from ..refinement.low_dose import MEANS_COST, TRAINED, LowDoseInputs
from ..refinement.non_local_means import COST as NLM_COST
from ..refinement.non_local_means import non_local_means
from ..refinement.trained_range import TrainedRange
from ..volumes.intensity import keep_beyond, to_hu
from .facts import RegionFacts
from .scan import Scan
from .settings import TiledSettings

LARGEST_CHANGE = 4.0  # in σ: noise is hardly ever larger, so a larger change would be invention


@dataclass(frozen=True)
class DenoiseSettings(TiledSettings):
    """The settings of a quality. The defaults are the paper's; a model's config holds those that fit its weights.

    spacing_mm: the grid that is computed on, None for the scan's own. steps: timesteps from t_start down to 0, None for
    all. sigma_scale: σ_n over the noise found. prior_weight: λ. zeta: share of fresh noise in a step. windows_hu: None
    for the regions' own. nlm_share: w, not the paper's; 0 is the foundation model alone, and a refiner has its own.
    guarded: whether the result is bounded, and the input kept where the model does not apply, see `merge`.
    """

    spacing_mm: float | None = 1.0
    steps: int | None = None
    sigma_scale: float = 1.0
    prior_weight: float = 10.0
    zeta: float = 0.0
    windows_hu: dict[str, tuple[float, float]] | None = None
    nlm_share: float = 0.0
    guarded: bool = False
    mirrored: int = 1  # mirror images that the refiner's answer is averaged over, 1 to 8


PAPER = DenoiseSettings(windows_hu=dict.fromkeys(REGIONS, (-160.0, 240.0)))
QUALITIES = {
    "fast": DenoiseSettings(spacing_mm=None, steps=1, guarded=True, tile_weights="fade"),
    "balanced": DenoiseSettings(spacing_mm=None, steps=5, guarded=True, tile_weights="fade"),
    "paper": PAPER,
}


@dataclass(frozen=True)
class RegionDenoiser:
    """One region of a scan, ready to be denoised.

    span: its slices in the whole scan; scan: those slices; eps: the noise prediction there; sigma_hu: the σ of the
    noise to remove.
    """

    span: RegionSpan
    scan: Scan
    eps: NoisePredictor
    sigma_hu: float
    settings: DenoiseSettings
    refiner: Refiner | None = None

    @cached_property
    def sigma_n(self) -> float:
        """σ_n: the noise in the model's range."""
        low, high = self.scan.window
        return self.settings.sigma_scale * self.sigma_hu * 2 / (high - low)

    @cached_property
    def steps(self) -> list[int]:
        """The timesteps from t_start, where σ̄_t = σ_n, down to 0."""
        t_start = self.eps.model.schedule.t_of_sigma(self.sigma_n)
        return uniform_steps(t_start, self.settings.steps or t_start + 1)

    @cached_property
    def costs(self) -> list[float]:
        """The cost of each progress step in units of one network evaluation of a tile: the sampler's steps, then
        non-local means, the refiner, and the correction of its means.
        """
        voxels = self.scan.voxels_in_box
        costs = [len(self.eps.active)] * len(self.steps)
        if voxels and self.settings.nlm_share > 0:
            costs.append(self.eps.worth(voxels, NLM_COST))
            if self.refiner:
                costs += [self.eps.worth(voxels, cost) for cost in (REFINER_COST * self.settings.mirrored, MEANS_COST)]
        return costs

    @cached_property
    def seconds_each(self) -> float | None:
        """The time of one network evaluation, measured; None if there is nothing but air."""
        if not self.eps.active:
            return None
        return self.eps.seconds_of_a_tile(torch.from_numpy(self.scan.x).to(self.eps.model.device), self.steps[0])

    @property
    def trained(self) -> TrainedRange | None:
        """What the refiner was trained on; None without one."""
        return TRAINED if self.refiner else None

    @property
    def orientations(self) -> int:
        """The orientations that the refiner's answer is averaged over; 1 without one."""
        return min(self.settings.mirrored, len(ORIENTATIONS)) if self.refiner else 1

    def estimate(self, seed: int, reporter: Reporter, before: int, spread: np.ndarray | None = None) -> np.ndarray:
        """The denoised region in HU, float32 (Z, Y, X). before: steps that the reporter has counted already. spread:
        takes, if given, the standard deviation of the refiner's answers over the orientations in HU.
        """
        y = torch.from_numpy(self.scan.x).to(self.eps.model.device)
        x0 = self._sample(y, seed, lambda i, t, x0: reporter.step(before + i, t, x0))
        if self.settings.nlm_share > 0:
            for box in self.scan.body_box:
                apart = None if spread is None else torch.zeros_like(y[box])
                body = torch.from_numpy(self.scan.body[box])
                x0[box] = self._apply_refinement(y[box], x0[box], body, reporter, apart)
                if spread is not None:
                    low, high = self.scan.window
                    spread[box] = apart.cpu().numpy() * ((high - low) / 2)
        return to_hu(x0.cpu().numpy(), self.scan.window)

    def _apply_refinement(
        self,
        y: torch.Tensor,
        of_model: torch.Tensor,
        body: torch.Tensor,
        reporter: Reporter,
        spread: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The estimate of a box, averaged with non-local means and corrected by the refiner if there is one."""
        inputs = self.low_dose_inputs(y, of_model, reporter)
        if self.refiner is None:
            return of_model.lerp(inputs.nlm, self.settings.nlm_share)
        with torch.inference_mode(), self.eps.model.autocast():
            refined = inputs.apply_refiner(
                self.eps.model.evaluator(self.refiner), self.settings.mirrored, reporter.part, spread
            )
        self.eps.model.release_memory()
        reporter.next_step()
        found = inputs.restore_local_means(refined, body.to(y.device), self.scan.frame.spacing[1:], reporter.part)
        reporter.next_step()
        return found

    def low_dose_inputs(self, y: torch.Tensor, of_model: torch.Tensor, reporter: Reporter) -> LowDoseInputs:
        """The inputs of a refiner for the box y (Z, Y, X) and the model's estimate of it."""
        nlm = non_local_means(y, self.sigma_n, on_part=reporter.part)
        reporter.next_step()
        return LowDoseInputs(y, of_model, nlm, self.sigma_n)

    def refiner_inputs(self, reporter: Reporter) -> LowDoseInputs:
        """The inputs of a refiner for this whole region, with the model's estimate, as `train refine` needs them."""
        y = torch.from_numpy(self.scan.x).to(self.eps.model.device)
        return self.low_dose_inputs(y, self._sample(y, seed=0, after_step=lambda i, t, x0: None), reporter)

    def _sample(self, y: torch.Tensor, seed: int, after_step: Callable) -> torch.Tensor:
        """DiffPIR from x_start = √ᾱ·y [paper eq. 11]."""
        schedule, settings = self.eps.model.schedule, self.settings
        single = len(self.steps) == 1  # the posterior mean itself: no data step would bring the noise back
        data_step = identity if single else denoising_data_step(y, self.sigma_n, settings.prior_weight, schedule)
        x_start = math.sqrt(schedule.alpha_bar[self.steps[0]]) * y
        generator = torch.Generator().manual_seed(seed)
        return diffpir(self.eps, x_start, schedule, self.steps, data_step, generator, after_step, settings.zeta)

    def merge_with_input(self, estimate: np.ndarray) -> np.ndarray:
        """The estimate merged with the input, both in HU: guarded, see `merge`, or as the model gives it, except beyond
        the window (see `keep_beyond`).
        """
        hu, window = self.scan.frame.hu, self.scan.window
        if self.settings.guarded:
            return merge(hu, estimate, self.scan.body, window, self.sigma_hu)
        return keep_beyond(hu, estimate, window)

    def facts(self, mm_superior: tuple[float, float]) -> RegionFacts:
        """What was computed, for the provenance. mm_superior: the lowest and highest end of the region."""
        return RegionFacts(
            region=self.scan.region.name,
            window_hu=list(self.scan.window),
            timesteps=self.steps,
            windows=len(self.eps.active),
            windows_of_air=len(self.eps.skipped),
            network_evaluations=len(self.steps) * len(self.eps.active),
            mm_superior=list(mm_superior),
        )


def merge(
    hu: np.ndarray, estimate: np.ndarray, body: np.ndarray, window: tuple[float, float], sigma_hu: float
) -> np.ndarray:
    """The estimate where the model applies, the input elsewhere. All in HU, (Z, Y, X), float32.

    Kept from the input, bit-identical: what lies outside the body, and what lies beyond the window (bone, lung,
    gas), unless it is beyond by noise alone (less than 3 σ, and the estimate is well inside). Elsewhere the change
    is bounded by 4 σ.
    """
    low, high = window
    beyond = np.maximum(low - hu, hu - high)
    inside = np.minimum(estimate - low, high - estimate)
    by_noise = (beyond < 3 * sigma_hu) & (inside > 0.5 * sigma_hu)
    use = body & ((beyond <= 0) | by_noise)
    change = np.clip(estimate - hu, -LARGEST_CHANGE * sigma_hu, LARGEST_CHANGE * sigma_hu)
    return np.where(use, hu + change, hu)
