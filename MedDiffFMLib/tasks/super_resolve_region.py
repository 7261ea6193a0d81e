"""The thin slices of one region of a scan: by DiffPIR with the data step of paper eq. 12, or in a single evaluation
(`one_step_slices`) followed by the refiner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..diffusion.data_steps import super_resolution_data_step
from ..diffusion.samplers import diffpir, randn_like
from ..diffusion.schedule import T_START, add_noise, uniform_steps
from ..diffusion.slice_operators import CONTROL_INPUTS
from ..errors import InputError
from ..inference.noise_predictor import NoisePredictor, tile_plan
from ..inference.tiles import TilePlan
from ..models.controlnet_folder import controlnet_names
from ..models.loading import Model
from ..networks.controlnet import ControlNet
from ..networks.refiner import ORIENTATIONS, Refiner
from ..parameters import SuperResolveParameters
from ..progress import Reporter
from ..volumes.intensity import to_hu
from .one_step_slices import ONE_STEP, apply_refiner, cost_of_refining, is_one_step, one_step_costs, one_step_estimate
from .scan import Scan
from .settings import TiledSettings
from .thin_slices import SliceSplit, compose_thin_slices, thin_noise_predictor, thin_slices_as_estimated

CONTROL = "super-resolution"


@dataclass(frozen=True)
class SuperResolveSettings(TiledSettings):
    """The settings of a quality. A model's config holds those that fit its weights.

    t_start: the first timestep, at which the interpolated image is noised. steps: timesteps from there down to 0.
    sigma_n: in units of the image in [-1, 1]. prior_weight: λ. zeta: share of fresh noise in a step. pixel_mm: the grid
    in plane that is computed on, None for the scan's own. exact_means: whether the new slices are made to have the old
    ones as their means.
    """

    t_start: int = T_START
    steps: int = 100
    sigma_n: float = 1.0
    prior_weight: float = 1.0
    zeta: float = 0.0
    pixel_mm: float | None = 1.0
    exact_means: bool = False
    mirrored: int = 1  # mirror images that a ControlNet of a single evaluation averages, 1 to 4
    refiner_mirrored: int = 1  # orientations that a refiner averages, 1 to 8


NOT_THE_PAPERS = {"sigma_n": 0.05, "zeta": 1.0, "pixel_mm": None, "exact_means": True, "tile_weights": "fade"}
QUALITIES = {
    # on a Gaussian image these find the posterior, the paper's do not: its data step fades as t → 0
    "fast": SuperResolveSettings(t_start=200, steps=3, **NOT_THE_PAPERS),
    "balanced": SuperResolveSettings(t_start=300, steps=12, mirrored=4, **NOT_THE_PAPERS),
    "paper": SuperResolveSettings(),
}


@dataclass(frozen=True)
class SliceSplitter:
    """The split of the slices of a scan, or of one of its regions: by DiffPIR, or in a single evaluation followed by
    the refiner if there is one.
    """

    split: SliceSplit
    model: Model
    control: ControlNet | None
    refiner: Refiner | None
    settings: SuperResolveSettings
    params: SuperResolveParameters
    reporter: Reporter
    whole_numbers: bool  # whether the input's HU are, and the result's must be

    @property
    def steps(self) -> list[int]:
        """The timestep of each evaluation of the whole."""
        if is_one_step(self.control):
            return [self.control.config.direct_t] * self.settings.mirrored
        t_start = min(self.settings.t_start, self.model.schedule.T - 1)
        return uniform_steps(t_start, self.params.steps or self.settings.steps)

    @property
    def control_name(self) -> str:
        """The name of the ControlNet, or none."""
        if self.control is None:
            return "none"
        return ONE_STEP if is_one_step(self.control) else CONTROL

    def tile_plan(self, part: Scan) -> tuple[TilePlan, int]:
        """The tiles of a region's thin grid, and how many of them hold a part of the body."""
        body = part.body.repeat(self.split.factor, self.split.axis)
        tiles = tile_plan(self.model, body.shape, self.settings.tiling)
        return tiles, len(tiles.touching(body))

    def costs(self, part: Scan) -> list[float]:
        """The cost of each progress step in units of one network evaluation of a tile."""
        (tiles, active), settings = self.tile_plan(part), self.settings
        if not is_one_step(self.control):
            return [active] * len(self.steps)
        body = part.body.repeat(self.split.factor, self.split.axis)
        costs = one_step_costs(tiles, body, settings.mirrored)
        if self.refiner:
            costs.append(cost_of_refining(self.model, tiles, part, self.split, settings.refiner_mirrored))
        return costs

    def seconds_each(self, part: Scan, labels: np.ndarray) -> float:
        """The time of one network evaluation, measured."""
        eps = self._eps(part, labels)
        return eps.seconds_of_a_tile(_control_input(eps), self.steps[0])

    @property
    def orientations(self) -> int:
        """The orientations that the refiner's answer is averaged over; 1 without one."""
        return min(self.settings.refiner_mirrored, len(ORIENTATIONS)) if self.refiner else 1

    def make_thin_slices(self, part: Scan, labels: np.ndarray, spread: np.ndarray | None = None) -> torch.Tensor:
        """The thin slices of a scan or a region in HU on its frame. labels: of the conditions there. spread: takes, if
        given, the standard deviation of the refiner's answers over the orientations in HU.
        """
        estimate = self._estimate(part, self._eps(part, labels), spread)
        if not self.settings.exact_means:
            return thin_slices_as_estimated(estimate, part, self.split)
        return self.as_stored(compose_thin_slices(estimate, part, self.split))

    def as_stored(self, hu: torch.Tensor) -> torch.Tensor:
        """HU rounded where the input's are whole numbers, so that the means stay."""
        return self.split.rounded(hu) if self.whole_numbers else hu

    def _eps(self, part: Scan, labels: np.ndarray) -> NoisePredictor:
        """The noise prediction on the thin grid of a region."""
        return thin_noise_predictor(
            part, self.split, labels, self.model, self.control, self.settings.tiling, self.reporter
        )

    def _estimate(self, part: Scan, eps: NoisePredictor, spread: np.ndarray | None) -> np.ndarray:
        """The thin slices in HU, within the window."""
        split, settings, reporter = self.split, self.settings, self.reporter
        if not is_one_step(self.control):
            return self._sample(part, eps)
        hu = one_step_estimate(part, eps, split, settings.mirrored, reporter)
        if self.refiner:
            hu = apply_refiner(self.model, self.refiner, part, hu, split, settings.refiner_mirrored, reporter, spread)
        return hu

    def _sample(self, part: Scan, eps: NoisePredictor) -> np.ndarray:
        """DiffPIR from the noised interpolated image. Returns HU within the window."""
        schedule, settings, split, done = self.model.schedule, self.settings, self.split, self.reporter.done
        steps, generator = self.steps, torch.Generator().manual_seed(self.params.seed)
        interpolated = _control_input(eps)
        x = add_noise(interpolated, steps[0], schedule, randn_like(interpolated, generator))
        thick = torch.from_numpy(part.x).to(self.model.device)
        data_step = super_resolution_data_step(
            thick, split.with_means, settings.sigma_n, settings.prior_weight, schedule
        )

        def callback(i: int, t: int, x0: torch.Tensor) -> None:
            self.reporter.step(done + i, t, x0)

        x0 = diffpir(eps, x, schedule, steps, data_step, generator, callback, settings.zeta)
        return to_hu(x0.clamp(-1, 1).cpu().numpy(), part.window)


def _control_input(eps: NoisePredictor) -> torch.Tensor:
    """The ControlNet's condition, on the model's device; for DiffPIR the interpolated image, from which it starts."""
    return torch.from_numpy(eps.conditions.target[0]).to(eps.model.device)


def choose_controlnet(model: Model, params: SuperResolveParameters) -> ControlNet | None:
    """The ControlNet to use; None with control "none".

    It is the one for a single evaluation if the model has one, unless quality `paper` or a number of steps is asked
    for. InputError if the model has no ControlNet for super-resolution.
    """
    if params.control == "none":
        return None
    names = controlnet_names(model.folder)
    if ONE_STEP in names and params.quality != "paper" and params.steps is None:
        return model.controlnet(ONE_STEP, kinds=CONTROL_INPUTS)
    if CONTROL not in names:
        raise InputError(
            f"The model {model.name} has no ControlNet {CONTROL!r}: use another model, or the foundation model alone "
            "with --control none."
        )
    return model.controlnet(CONTROL, kinds=CONTROL_INPUTS)
