"""Denoising by a refiner: its inputs, and how its output is used. Beyond the paper.

    b = ½·x̂_θ + ½·N(y),   x̂_0 = b + σ_n·f((y − b)/σ_n, (x̂_θ − N(y))/σ_n, b, σ_n)

y: the scan; x̂_θ: the foundation model's estimate; N: non-local means. The two estimates err in different ways, and
where they differ f sees where they err; y shows it what both took away.

Of the output only what differs from its surroundings is used, σ_n·(f − G∗f) with a Gaussian G: f may sharpen and
smooth, but the HU of a tissue stay those of b. Contrast medium, rare in training, f would draw towards plain blood.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from monai.networks.layers import GaussianFilter

from ..networks.refiner import Refiner, RefinerConfig, apply_slabwise, at, slice_groups
from ..progress import part_counter
from .trained_range import TrainedRange

LOW_DOSE = RefinerConfig(kind="low-dose", inputs=10)
NLM_SHARE = 0.5  # of b
USUAL_SIGMA = 0.12  # the σ_n, in the model's range, at which the channel log σ_n is 0
SURROUNDINGS_MM = 10.0  # standard deviation of G, in plane
TRAINED = TrainedRange(  # the pairs of the bundled one
    sigma_hu={"head-neck": (19.0, 40.0), "chest": (38.0, 80.0), "abdomen": (19.0, 40.0)},
    grain=(0.4, 1.5),
    pixel_mm=(0.78, 3.0),
    slice_mm=(1.0, 5.0),
)
MEANS_COST = 0.12  # of a voxel, see `NoisePredictor.worth`


@dataclass(frozen=True)
class LowDoseInputs:
    """A scan and two estimates of what is under its noise: y, of_model and nlm (Z, Y, X), in the model's range."""

    y: torch.Tensor
    of_model: torch.Tensor
    nlm: torch.Tensor
    sigma_n: float

    def to(self, device: torch.device) -> LowDoseInputs:
        """These inputs on another device."""
        return LowDoseInputs(self.y.to(device), self.of_model.to(device), self.nlm.to(device), self.sigma_n)

    @cached_property
    def base(self) -> torch.Tensor:
        """b = lerp(x̂_0, N(y), NLM_SHARE): the estimate that the refiner corrects."""
        return self.of_model.lerp(self.nlm, NLM_SHARE)

    def features(self, z: torch.Tensor) -> torch.Tensor:
        """The inputs of f for the slices z (n,) and the two neighbors of each: (n, 10, Y, X)."""
        b, s = self.base, self.sigma_n
        removed, apart = ((lambda z: at(self.y, z) - at(b, z)), (lambda z: at(self.of_model, z) - at(self.nlm, z)))
        differences = [removed(z), apart(z), at(b, z - 1) - at(b, z), at(b, z + 1) - at(b, z)]
        differences += [removed(z - 1), removed(z + 1), apart(z - 1), apart(z + 1)]
        level = torch.full_like(b[z], math.log(s / USUAL_SIGMA))
        return torch.stack([*(d / s for d in differences), 2 * b[z], level], dim=1)

    def apply_refiner(
        self,
        refiner: Refiner,
        mirrored: int = 1,
        on_part: Callable[[int, int], None] = lambda done, total: None,
        spread: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """b + σ_n·f, the refined estimate. mirrored, on_part: see `refiner.apply_slabwise`. spread: takes, if given,
        the estimate's standard deviation over the orientations.
        """
        f = apply_slabwise(refiner, self.features, self.base, mirrored, on_part, spread)
        if spread is not None:
            spread *= self.sigma_n
        return self.base + self.sigma_n * f

    def restore_local_means(
        self,
        refined: torch.Tensor,
        body: torch.Tensor,
        spacing: tuple[float, float],
        on_part: Callable[[int, int], None] = lambda done, total: None,
    ) -> torch.Tensor:
        """x̂_0: `refined` (Z, Y, X) with the local means of b. body: bool; what is outside does not count. spacing:
        mm, (y, x). `on_part(done, total)` is called after every few slices, and may raise to stop.
        """
        blur = GaussianFilter(2, [SURROUNDINGS_MM / mm for mm in spacing], truncated=3.0).to(refined.device)
        found, groups = torch.empty_like(refined), slice_groups(refined)
        tick = part_counter(on_part, len(groups))
        for z in groups:
            inside = body[z, None].float()
            mean = blur((refined[z] - self.base[z])[:, None] * inside) / blur(inside).clamp(min=1e-3)
            found[z] = refined[z] - mean[:, 0]
            tick()
        return found
