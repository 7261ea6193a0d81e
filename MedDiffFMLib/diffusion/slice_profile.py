"""Thick slices as scanners make them: H by a slice's own sensitivity profile. Slice thickness is not slice distance.

A thick slice is the weighted mean of the thin ones: weight 1 within its thickness, 1/2 in a shoulder of a fifth of it
on either side. So measured on a head phantom, where a slice of 5 mm was the mean of slices of 1 mm with the weights 1
at 0, ±1 and ±2 mm, 1/2 at ±3 mm; other thicknesses are taken to be alike. Profiles of overlapping series share thin
slices, those of gapped ones leave thin slices out. At the ends of the scan the profile is folded back into it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch

SHOULDER = 0.2  # width of a shoulder, as a share of the thickness
SMALLEST_PART = 0.1  # of the largest singular value of H: below it a mean is not solved for, its noise would grow 10 ×
RIM_ROUNDS, SCALE_ROUNDS = 20, 200  # of setting limits and means right in turn
NEARLY_HU = 0.01


@dataclass(frozen=True)
class SliceProfile:
    """The degradation H of `count` thick slices, each split into `factor`. thickness: as a share of their distance.

    Tensors are (…, Z, Y, X), float32; `axis` (−3, −2 or −1) is the one that slices are stacked along.
    """

    count: int
    factor: int
    thickness: float

    @cached_property
    def matrix(self) -> np.ndarray:
        """H along one axis: (count, count · factor), its rows sum to 1."""
        size = self.count * self.factor
        reach = int(np.ceil((0.5 + SHOULDER) * self.thickness)) * self.factor
        edges = np.arange(-reach, size + reach + 1) / self.factor
        apart = edges - (np.arange(self.count)[:, None] + 0.5)
        within, beyond = np.clip(apart, -self.thickness / 2, self.thickness / 2), self.thickness * (0.5 + SHOULDER)
        weights = np.diff((within + np.clip(apart, -beyond, beyond)) / 2, axis=1)
        place = np.pad(np.arange(size), reach, mode="symmetric")
        folded = np.zeros((size, self.count))
        np.add.at(folded, place, weights.T)
        return folded.T / weights.sum(axis=1, keepdims=True)

    @cached_property
    def _inverse(self) -> np.ndarray:
        """The pseudo-inverse of H, (count · factor, count)."""
        return np.linalg.pinv(self.matrix, rcond=SMALLEST_PART)

    @cached_property
    def _smoothing(self) -> np.ndarray:
        """The matrix (count · factor, count) of `smoothest`."""
        size = self.count * self.factor
        left, values, right = np.linalg.svd(self.matrix, full_matrices=False)
        kept = values > SMALLEST_PART * values[0]
        rows, known = right[kept], left[:, kept].T / values[kept, None]
        steps = np.diff(np.eye(size), axis=0)
        system = np.block([[steps.T @ steps, rows.T], [rows, np.zeros((len(rows), len(rows)))]])
        return np.linalg.solve(system, np.concatenate([np.zeros((size, self.count)), known]))[:size]

    def means(self, thin: torch.Tensor, axis: int = -3) -> torch.Tensor:
        """The thick slices H·thin."""
        return _apply(self.matrix, thin, axis)

    def smoothest(self, thick: torch.Tensor, axis: int = -3) -> torch.Tensor:
        """The thin slices with the least squared differences between neighbors among those whose means are `thick`: the
        estimate without a model.
        """
        return _apply(self._smoothing, thick, axis)

    def project(self, thin: torch.Tensor, thick: torch.Tensor, axis: int = -3) -> torch.Tensor:
        """The nearest image to `thin` whose means are `thick`, thin + H⁺(thick − H·thin). H⁺ is the pseudo-inverse
        without the parts of H below `SMALLEST_PART`, which only profiles far wider than their distance have.
        """
        return thin + _apply(self._inverse, thick - self.means(thin, axis), axis)

    def limit(
        self, thin: torch.Tensor, thick: torch.Tensor, axis: int, low: float, high: float, ceiling: torch.Tensor
    ) -> torch.Tensor:
        """The thin slices within low … high, and hardly above `ceiling` (like `thick`), with the means `thick` as far
        as low and high allow.
        """
        moved = thin.movedim(axis, 0).clone()
        top = ceiling.movedim(axis, 0).clamp(max=high).repeat_interleave(self.factor, 0)
        columns = (moved.amin(0) < low) | (moved > top).any(0)
        part, means, top = moved[:, columns, None], thick.movedim(axis, 0)[:, columns, None], top[:, columns, None]
        for _ in range(RIM_ROUNDS if columns.any() else 0):
            part = self.project(torch.minimum(part.clamp(min=low), top), means)
        for _ in range(SCALE_ROUNDS):
            off = ((part < low - NEARLY_HU) | (part > high + NEARLY_HU)).any(0)[:, 0]
            if not off.any():
                break
            part[:, off] = self.project(part[:, off].clamp(low, high), means[:, off])
        moved[:, columns] = part.clamp(low, high)[..., 0]
        return moved.movedim(0, axis)


@lru_cache(maxsize=8)
def slice_profile(count: int, factor: int, thickness: float) -> SliceProfile:
    """A `SliceProfile`; one that was made lately keeps its matrices."""
    return SliceProfile(count, factor, thickness)


def round_sums(thin: torch.Tensor, axis: int = -3) -> torch.Tensor:
    """The thin slices as whole numbers, each less than 1 away: what one slice loses the next one gets, so that the mean
    over any number of slices, with whatever even weights, moves by less than a single rounding of it would.
    """
    sums = thin.double().cumsum(dim=axis).round_()
    return torch.cat([sums.narrow(axis, 0, 1), sums.diff(dim=axis)], dim=axis).to(thin.dtype)


def _apply(matrix: np.ndarray, image: torch.Tensor, axis: int) -> torch.Tensor:
    """A matrix applied along one axis of an image."""
    return torch.tensordot(torch.from_numpy(matrix).to(image), image, dims=([1], [axis])).movedim(0, axis)
