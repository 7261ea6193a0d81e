"""A scan denoised by the model's restorer: all regions at once, without HU windows. See `refinement.noise_inputs`.

What `denoise` asks of a region (`denoise_region.RegionDenoiser`), the whole scan answers here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from ..anatomy.body_regions import RegionSpan, whole_scan
from ..models.components import RESTORERS
from ..models.loading import Model
from ..models.restorer_folder import LOW_DOSE
from ..networks.restorer import Restorer
from ..parameters import DenoiseParameters
from ..progress import Reporter
from ..refinement.noise_inputs import TRAINED, NoiseInputs
from ..refinement.noise_map import scan_noise
from ..refinement.trained_range import TrainedRange
from .denoise_region import LARGEST_CHANGE
from .facts import RegionFacts
from .scan import Scan

MIRRORED = {"fast": 1, "balanced": 4}  # orientations that the restorer's answer is averaged over, by quality
PROBE = 64  # pixels of the edge of what its time is measured on


def restorer_for(model: Model, params: DenoiseParameters) -> Restorer | None:
    """The model's restorer, where it has one and neither the paper's method nor the model alone is asked for."""
    wanted = params.quality in MIRRORED and not params.alone and params.steps is None
    return model.restorer(LOW_DOSE) if wanted and LOW_DOSE in RESTORERS.names(model.folder) else None


@dataclass(frozen=True)
class ScanRestorer:
    """A scan ready to be restored by a model's restorer. sigma_hu: the noise in soft tissue; mirrored: orientations, 1
    to 8.
    """

    scan: Scan
    model: Model
    restorer: Restorer
    sigma_hu: float
    mirrored: int

    @property
    def span(self) -> RegionSpan:
        """The span of slices that is restored: all of the scan."""
        return whole_scan(self.scan.region, len(self.scan.body))

    @property
    def costs(self) -> list[float]:
        """The cost of the only step: one pixel and orientation is 1; nothing where all is air."""
        return [float(self.scan.voxels_in_box * self.mirrored)]

    @cached_property
    def seconds_each(self) -> float | None:
        """The time of a unit of `costs`, measured; None if there is nothing but air."""
        if not self.scan.voxels_in_box:
            return None
        network = self.model.evaluator(self.restorer)
        features = torch.zeros(1, self.restorer.config.inputs, PROBE, PROBE, device=self.model.device)
        with torch.inference_mode(), self.model.autocast():
            for _ in range(2):  # the first one of a process is slow
                started = time.monotonic()
                float(network(features).sum())  # waits for a GPU
                seconds = time.monotonic() - started
        return seconds / PROBE**2

    @property
    def trained(self) -> TrainedRange:
        """What the restorer was trained on."""
        return TRAINED

    @property
    def orientations(self) -> int:
        """The orientations that the answer is averaged over."""
        return self.mirrored

    def estimate(self, seed: int, reporter: Reporter, before: int, spread: np.ndarray | None = None) -> np.ndarray:
        """The restored scan in HU, float32 (Z, Y, X). seed and before do not matter here: nothing is drawn. spread:
        takes, if given, the standard deviation over the orientations in HU.
        """
        found, network = self.scan.frame.hu.astype(np.float32), self.model.evaluator(self.restorer)
        for box in self.scan.body_box:
            y = torch.from_numpy(np.ascontiguousarray(found[box])).to(self.model.device)
            body = torch.from_numpy(self.scan.body[box]).to(self.model.device)
            spacing = self.scan.frame.spacing
            sigma, grain = scan_noise(y, spacing, self.sigma_hu, body)
            inputs = NoiseInputs(y, sigma, grain, spacing)
            with torch.inference_mode(), self.model.autocast():
                apart = None if spread is None else torch.empty_like(y)
                restored = inputs.restored(network, self.mirrored, reporter.part, apart)
                limit = LARGEST_CHANGE * sigma.at(torch.arange(len(y), device=y.device))
                found[box] = (y + (restored - y).clamp(-limit, limit)).cpu().numpy()
                if spread is not None:
                    spread[box] = apart.cpu().numpy()
        self.model.release_memory()
        reporter.next_step()
        return found

    def merge_with_input(self, estimate: np.ndarray) -> np.ndarray:
        """The estimate in the body, the input around it."""
        return np.where(self.scan.body, estimate, self.scan.frame.hu)

    def facts(self, mm_superior: tuple[float, float]) -> RegionFacts:
        """What was computed, for the provenance: no window and no timesteps of a diffusion model."""
        return RegionFacts(
            region=self.scan.region.name,
            window_hu=[],
            timesteps=[],
            windows=0,
            windows_of_air=0,
            network_evaluations=len(self.scan.body) * self.mirrored,
            mm_superior=list(mm_superior),
        )
