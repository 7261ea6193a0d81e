"""The similarity of synthetic volumes to real ones, one by one (MS-SSIM, LPIPS) and as a whole (FID, MMD)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

SCALES = 5
LARGEST_KERNEL = 11  # Wang et al. 2003


def kernel_that_fits(shapes: Sequence[Sequence[int]]) -> int | None:
    """The largest odd kernel up to 11 with which volumes of all `shapes` have MS-SSIM's five scales; None if none.

    MONAI wants 16 · kernel voxels along every axis: 176 for 11, 48 for 3.
    """
    smallest = min(min(shape) for shape in shapes)
    fitting = [k for k in range(3, LARGEST_KERNEL + 1, 2) if smallest // (SCALES - 1) ** 2 > k - 1]
    return max(fitting, default=None)


def kernels(shape: Sequence[int]) -> list[int]:
    """The kernels from 3 to 11 with which a volume has MS-SSIM."""
    return list(range(3, (kernel_that_fits([shape]) or 0) + 1, 2))


def ms_ssim(image: np.ndarray, reference: np.ndarray, kernel: int) -> float:
    """Multi-scale SSIM (Wang et al. 2003) of volumes (Z, Y, X) in [0, 1], in 3D, five scales, by MONAI. 1 if equal."""
    from monai.metrics import MultiScaleSSIMMetric

    pair = [torch.from_numpy(np.ascontiguousarray(v, dtype=np.float32))[None, None] for v in (image, reference)]
    return float(MultiScaleSSIMMetric(spatial_dims=3, data_range=1.0, kernel_size=kernel)(*pair).mean())


def perceptual_distance(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> float:
    """LPIPS without learned weights, as MONAI has it for MedicalNet: the squared distance of the feature vectors, each
    of length 1, averaged over places and crops. 0 if equal, at most 4.

    one, other: maps (1, C, z, y, x) of the same crops.
    """
    from monai.losses.perceptual import normalize_tensor

    pairs = zip(one, other, strict=True)
    distances = [((normalize_tensor(a) - normalize_tensor(b)) ** 2).sum(dim=1).mean() for a, b in pairs]
    return float(torch.stack(distances).mean())


def pool_features(maps: Sequence[torch.Tensor]) -> torch.Tensor:
    """The mean features of each crop, (N, C)."""
    return torch.cat([m.mean(dim=(2, 3, 4)) for m in maps])


def fid(synthetic: torch.Tensor, real: torch.Tensor) -> float | None:
    """Fréchet distance of two sets of features (N, C), by MONAI: |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2·√(Σ₁Σ₂)). None for fewer
    than two of either. With fewer samples than features it is too large: compare only what has the same number.
    """
    from monai.metrics import FIDMetric

    if min(len(synthetic), len(real)) < 2:
        return None
    return max(float(FIDMetric()(synthetic.double(), real.double())), 0.0)


def mmd(synthetic: torch.Tensor, real: torch.Tensor) -> float | None:
    """Maximum mean discrepancy (Gretton et al. 2012) of two sets of features (N, C), by medmetric: unbiased, the mean
    of Gaussian kernels of 1/8 to 8 times the median distance; the square root, 0 where the estimate is below. None for
    fewer than two of either. (MONAI's has a linear kernel, which sees the means alone.)
    """
    from medmetric.metrics import MMD

    if min(len(synthetic), len(real)) < 2:
        return None
    return float(MMD()(synthetic.double(), real.double()))
