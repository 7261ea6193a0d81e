"""PSNR and SSIM of a CT in a named HU window, inside the body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MedDiffFMLib.errors import InputError


@dataclass(frozen=True)
class ImageQuality:
    """PSNR in dB and SSIM (at most 1) of an image against its reference."""

    psnr: float
    ssim: float

    def __sub__(self, other: ImageQuality) -> ImageQuality:
        return ImageQuality(self.psnr - other.psnr, self.ssim - other.ssim)


@dataclass(frozen=True)
class Counting:
    """The window and the voxels that are counted. window: HU whose width is the data range, None for the region's;
    whole_image: all voxels, not those of the body alone.
    """

    window: tuple[float, float] | None = None
    whole_image: bool = False


def to_unit(hu: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """HU to [0, 1]: the window's range linearly, values beyond it clipped. Returns float32."""
    low, high = window
    return ((np.clip(hu, low, high) - low) / (high - low)).astype(np.float32)


def quality(hu: np.ndarray, reference: np.ndarray, body: np.ndarray, window: tuple[float, float]) -> ImageQuality:
    """PSNR and SSIM of `hu` against `reference` within `body`; both clipped to `window`, whose width is the data range.

    All (Z, Y, X), axial slices of at least 11 × 11 pixels; body is bool. PSNR is over the body's voxels. SSIM (Wang
    et al. 2004: Gaussian of σ 1.5 in 11 × 11 pixels, K 0.01 and 0.03) is computed slice by slice, its map averaged
    over the body's voxels. Infinite PSNR if the two are equal.
    """
    return slice_sums(hu, reference, body, window).quality()


@dataclass(frozen=True)
class SliceSums:
    """The sums over the counted voxels of each slice (Z) that quality is made of: squared errors of the window scaled
    to 1, SSIM, and the voxels themselves.
    """

    squared: np.ndarray
    ssim: np.ndarray
    voxels: np.ndarray

    def quality(self, weights: np.ndarray | None = None) -> ImageQuality:
        """The quality of all slices, or of each `weights` times (…, Z): then of arrays (…)."""
        weights = np.ones(len(self.voxels)) if weights is None else weights
        squared, ssim, voxels = (weights @ sums for sums in (self.squared, self.ssim, self.voxels))
        with np.errstate(divide="ignore"):
            psnr = -10 * np.log10(squared / voxels)
        return ImageQuality(psnr, ssim / voxels) if np.ndim(psnr) else ImageQuality(float(psnr), float(ssim / voxels))


def slice_sums(hu: np.ndarray, reference: np.ndarray, body: np.ndarray, window: tuple[float, float]) -> SliceSums:
    """What `quality` is made of, slice by slice; arguments as there. InputError if no voxel is counted."""
    from skimage.metrics import structural_similarity

    if not body.any():
        raise InputError("There is no body in these slices, so nothing can be measured: choose others.")
    image, truth = to_unit(hu, window), to_unit(reference, window)
    squared = ((image.astype(np.float64) - truth) ** 2 * body).sum(axis=(1, 2))
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    maps = [structural_similarity(a, b, full=True, **wang)[1] for a, b in zip(image, truth, strict=True)]
    ssim = [one[counted].sum(dtype=np.float64) for one, counted in zip(maps, body, strict=True)]
    return SliceSums(squared, np.array(ssim), body.sum(axis=(1, 2)).astype(np.float64))
