"""MS-SSIM, LPIPS, FID and MMD on cases whose answer is known."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

pytest.importorskip("medmetric", reason="medmetric is not installed (extra 'training')")

from MedDiffFMTraining.evaluate.metrics import similarity


def reference_ms_ssim(x, y, kernel):
    """Wang et al. 2003 in 3D, written down with NumPy and SciPy."""
    ends, offsets = slice(kernel // 2, -(kernel // 2)), np.arange(kernel) - kernel // 2
    weights = np.exp(-(offsets**2) / (2 * 1.5**2))
    weights /= weights.sum()

    def blur(v):
        for axis in range(3):
            v = ndimage.correlate1d(v, weights, axis=axis)
        return v[ends, ends, ends]

    product = 1.0
    for scale, power in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        mx, my = blur(x), blur(y)
        sx, sy, sxy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        contrast = (2 * sxy + 0.03**2) / (sx + sy + 0.03**2)
        luminance = (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
        product *= (contrast * (luminance if scale == 4 else 1)).mean() ** power
        if scale == 4:
            return product
        x, y = (v.reshape(*(n for s in v.shape for n in (s // 2, 2))).mean(axis=(1, 3, 5)) for v in (x, y))


def test_ms_ssim_agrees_with_the_formula():
    noise = np.random.default_rng(0)
    one = ndimage.gaussian_filter(noise.random((48, 64, 48)), 2) * 3
    other = one + ndimage.gaussian_filter(noise.normal(size=one.shape), 1) * 0.3
    assert similarity.ms_ssim(one, one, 3) == pytest.approx(1, abs=1e-5)
    expected = reference_ms_ssim(one, other, 3)
    assert 0.2 < expected < 0.98 and similarity.ms_ssim(other, one, 3) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(
    ("smallest", "kernel"), [(47, None), (48, 3), (79, 3), (80, 5), (175, 9), (176, 11), (400, 11)]
)
def test_the_kernel_is_the_largest_that_fits_all(smallest, kernel):
    assert similarity.kernel_that_fits([(200, 300, smallest), (500, 400, 400)]) == kernel
    if kernel == 3:
        assert similarity.ms_ssim(*[np.zeros((smallest, 48, 48))] * 2, kernel) == pytest.approx(1)


def test_perceptual_distance_is_that_of_directions():
    """Unit vectors: equal 0, at right angles 2, opposite 4; their lengths do not count; the mean over places."""
    at = lambda *c: torch.tensor(c, dtype=torch.float32).view(1, -1, 1, 1, 1)  # noqa: E731
    distance = lambda a, b: similarity.perceptual_distance([a], [b])  # noqa: E731
    assert distance(at(3, 4), at(6, 8)) == pytest.approx(0, abs=1e-6)
    assert distance(at(1, 0), at(0, 5)) == pytest.approx(2) and distance(at(1, 0), at(-2, 0)) == pytest.approx(4)
    places = torch.cat([at(1, 0), at(0, 5), at(-1, 0), at(1, 0)], dim=4)
    assert distance(at(1, 0).expand_as(places), places) == pytest.approx((0 + 2 + 4 + 0) / 4)


def gaussian_set(mean, covariance, count=50):
    """Samples whose own mean and covariance are exactly these."""
    x = np.random.default_rng(1).normal(size=(count, len(mean)))
    x -= x.mean(axis=0)
    white = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T
    return torch.from_numpy(white @ np.linalg.cholesky(np.asarray(covariance, float)).T + mean)


def test_fid_of_two_gaussians_in_closed_form():
    """|μ₁ − μ₂|² + Σ (σ₁ − σ₂)² for diagonal covariances; for others by the eigenvalues of their product."""
    one = gaussian_set([0, 0, 0], np.diag([1.0, 4, 9]))
    other = gaussian_set([1, 2, 2], np.diag([4.0, 4, 1]))
    assert similarity.fid(one, other) == pytest.approx(9 + 1 + 0 + 4, abs=1e-6)
    assert similarity.fid(one, one) == pytest.approx(0, abs=1e-6)
    a, b = np.array([[2.0, 1], [1, 2]]), np.array([[3.0, -1], [-1, 2]])
    cross = np.sqrt(np.linalg.eigvals(a @ b)).sum()
    value = similarity.fid(gaussian_set([0, 0], a), gaussian_set([0, 0], b))
    assert value == pytest.approx(np.trace(a + b) - 2 * cross, abs=1e-6)
    assert similarity.fid(one[:1], other) is None


def test_mmd_of_equal_and_of_shifted_sets():
    """Three equal points each, d apart: the median of the 15 distances is d, so with kernels of widths r·d
    MMD² = 2 − 2·mean(exp(−1/(2r²))), whatever d is.
    """
    ratios = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
    expected = math.sqrt(2 - 2 * sum(math.exp(-1 / (2 * r * r)) for r in ratios) / len(ratios))
    for d in (0.5, 30.0):
        here, there = torch.zeros(3, 4), torch.zeros(3, 4) + torch.tensor([0, d, 0, 0])
        assert similarity.mmd(here, there) == pytest.approx(expected, abs=1e-6)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 4, generator=generator)
    assert similarity.mmd(x[:100], x[100:]) < 0.1 < 0.25 < similarity.mmd(x[:100], x[100:] + 1)
    wider = similarity.mmd(x[:100], 3 * x[100:])  # equal means: a linear kernel would see nothing
    assert wider > 0.3 and similarity.mmd(x[:1], x) is None
