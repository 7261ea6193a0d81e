"""Classical denoising, to compare the model with: each tool is given the noise; its factors are tuned in validation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# The best mean PSNR gain over the validation patients (`meddiff-fm evaluate tune-classical`), never seen in a test.
# Factors are in units of σ, the noise's standard deviation.
# NLM stays at 0.6: 0.5 gains 0.06 dB more in the mean, for the pelvis' sake, whose full-dose scan itself is noisy.
SETTINGS = {
    "bm3d": {"sigma_factor": 1.5},
    "nlm": {"h_factor": 0.6},
    "nlm3": {"h_factor": 0.85},
    "tv": {"weight_factor": 0.5},
    "curvature": {"iterations": 5, "conductance": 1.0},
}
NAMES = {
    "bm3d": "BM3D",
    "nlm": "non-local means",
    "nlm3": "non-local means, ours",
    "tv": "total variation",
    "curvature": "curvature diffusion",
}


def bm3d(image: np.ndarray, sigma: float, sigma_factor: float) -> np.ndarray:
    """Block matching and 3D filtering of each slice, as for white noise (Dabov et al. 2007)."""
    from bm3d import bm3d as filter_slice

    return np.stack([filter_slice(one_slice, sigma_psd=sigma_factor * sigma) for one_slice in image])


def non_local_means(image: np.ndarray, sigma: float, h_factor: float) -> np.ndarray:
    """Non-local means in 3D (Buades et al. 2005) by scikit-image: patches of 5³ voxels within a distance of 5."""
    from skimage.restoration import denoise_nl_means

    patches = {"patch_size": 5, "patch_distance": 5, "fast_mode": True}
    return denoise_nl_means(image, h=h_factor * sigma, sigma=sigma, **patches)


def our_non_local_means(image: np.ndarray, sigma: float, h_factor: float) -> np.ndarray:
    """Our own, which the model's estimate is averaged with: patches of 3³ within a distance of 3, distances exact."""
    import torch

    from MedDiffFMLib.refinement.non_local_means import non_local_means as exact

    return exact(torch.from_numpy(np.ascontiguousarray(image, np.float32)), sigma, h_factor).numpy()


def total_variation(image: np.ndarray, sigma: float, weight_factor: float) -> np.ndarray:
    """Total variation in 3D (Rudin, Osher & Fatemi 1992; Chambolle 2004)."""
    from skimage.restoration import denoise_tv_chambolle

    return denoise_tv_chambolle(image, weight=weight_factor * sigma)


def curvature_diffusion(image: np.ndarray, sigma: float, iterations: int, conductance: float) -> np.ndarray:
    """Curvature anisotropic diffusion in 3D (Whitaker & Xue 2001). Its conductance is relative to the image's mean
    gradient, which is mostly noise, so it needs no σ.
    """
    import SimpleITK as sitk

    options = {"timeStep": 0.0625, "conductanceParameter": conductance, "numberOfIterations": iterations}
    return sitk.GetArrayFromImage(sitk.CurvatureAnisotropicDiffusion(sitk.GetImageFromArray(image), **options))


TOOLS: dict[str, Callable[..., np.ndarray]] = {
    "bm3d": bm3d,
    "nlm": non_local_means,
    "nlm3": our_non_local_means,
    "tv": total_variation,
    "curvature": curvature_diffusion,
}


def denoise_classically(tool: str, image: np.ndarray, sigma: float, settings: dict | None = None) -> np.ndarray:
    """`image` denoised by a tool of `TOOLS`, with the settings of `SETTINGS` unless others are given.

    image: float32 (Z, Y, X), axial slices, a HU window scaled to [0, 1]; sigma: its noise on the same scale. Voxels
    are taken as cubes. Returns float32, same shape.
    """
    return TOOLS[tool](image, sigma, **(settings or SETTINGS[tool])).astype(np.float32, copy=False)
