"""Thick and thin slices against explicit matrices, values by hand, and a Gaussian image whose posterior is known."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from MedDiffFMLib.diffusion.data_steps import super_resolution_data_step
from MedDiffFMLib.diffusion.samplers import diffpir
from MedDiffFMLib.diffusion.schedule import cosine_schedule, uniform_steps
from MedDiffFMLib.diffusion.slice_operators import (
    block_mean,
    cubic_slices,
    interpolate_slices,
    limit_within_blocks,
    lower_within_blocks,
    project_to_block_means,
    replicate,
    rim_ceiling,
    round_in_blocks,
)
from MedDiffFMLib.tasks.super_resolve import QUALITIES
from MedDiffFMLib.volumes.io import read_volume

SCHEDULE = cosine_schedule()
AXES = (-3, -2, -1)


def matrix_of_means(slices: int, factor: int) -> np.ndarray:
    """H along one axis: (slices, slices · factor)."""
    return np.kron(np.eye(slices), np.full((1, factor), 1 / factor))


def columns(volume, axis) -> np.ndarray:
    """(slices, everything else), float64."""
    moved = np.moveaxis(np.asarray(volume, np.float64), axis, 0)
    return moved.reshape(len(moved), -1)


def a_volume(shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32))


def plain(factor, axis=-3):
    """The projection onto plain means, as the data step takes it."""
    return partial(project_to_block_means, factor=factor, axis=axis)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("factor", [2, 5])
def test_block_mean_and_its_transpose_are_the_matrices(axis, factor):
    shape = [3, 4, 2]
    thick = a_volume(shape, seed=1)
    shape[axis] *= factor
    thin, H = a_volume(shape), matrix_of_means(thick.shape[axis], factor)
    np.testing.assert_allclose(columns(block_mean(thin, factor, axis), axis), H @ columns(thin, axis), atol=1e-6)
    up = columns(replicate(thick, factor, axis), axis)
    np.testing.assert_array_equal(up, factor * H.T @ columns(thick, axis))
    assert torch.allclose(block_mean(replicate(thick, factor, axis), factor, axis), thick, atol=1e-7)  # H·Hᵀ = I


@pytest.mark.parametrize("axis", AXES)
def test_data_step_of_equation_12_is_the_least_squares_solution(axis):
    """min ‖√f·(y − H·x)‖² + ρ‖x − x_0‖², solved by lstsq: √f makes the rows of H unit vectors, so that H·Hᵀ = I."""
    factor, t, sigma_n, weight = 3, 400, 0.4, 2.0
    shape = [2, 3, 2]
    y = a_volume(shape, seed=1)
    shape[axis] *= factor
    x0 = a_volume(shape)
    rho = weight * sigma_n**2 / SCHEDULE.sigma_bar(t) ** 2
    n, H = shape[axis], matrix_of_means(y.shape[axis], factor) * math.sqrt(factor)
    A = np.vstack([H, math.sqrt(rho) * np.eye(n)])
    b = np.vstack([math.sqrt(factor) * columns(y, axis), math.sqrt(rho) * columns(x0, axis)])
    expected = np.linalg.lstsq(A, b, rcond=None)[0]
    got = super_resolution_data_step(y, plain(factor, axis), sigma_n, weight, SCHEDULE)(x0, t)
    np.testing.assert_allclose(columns(got, axis), expected, atol=1e-5)


def test_data_step_clips_what_little_light_makes_large():
    y = torch.zeros(1, 1, 1)
    x0 = torch.tensor([5.0, -1.0]).reshape(2, 1, 1)
    step = super_resolution_data_step(y, plain(2), 1e-6, 1.0, SCHEDULE)
    assert step(x0, 900).flatten().tolist() == pytest.approx([1.0, -1.0])


def test_projection_by_hand():
    thin = torch.tensor([1.0, 3.0, 5.0, 9.0]).reshape(4, 1, 1)
    thick = torch.tensor([4.0, 7.0]).reshape(2, 1, 1)
    assert project_to_block_means(thin, thick, 2).flatten().tolist() == [3, 5, 5, 9]


def test_drawing_into_a_range_by_hand():
    """Means 0 and 10; the first block leaves −5 by half of its way, the second lies within."""
    thin, thick = torch.tensor([-10.0, 10, 8, 12]).reshape(4, 1, 1), torch.tensor([0.0, 10]).reshape(2, 1, 1)
    assert limit_within_blocks(thin, thick, 2, -3, -5, 100).flatten().tolist() == [-5, 5, 8, 12]


def test_rounding_by_hand():
    """Sums 0.6, 1.2, 2.4 become 1, 1, 2 … in the second block −0.4, −1.8, −3 become 0, −2, −3."""
    thin = torch.tensor([0.6, 0.6, 1.2, -0.4, -1.4, -1.2]).reshape(6, 1, 1)
    assert round_in_blocks(thin, 3).flatten().tolist() == [1, 0, 1, 0, -2, -1]


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("factor", [2, 3, 5])
def test_rounding_keeps_whole_block_means(axis, factor):
    thick = torch.from_numpy(np.random.default_rng(0).integers(-1024, 3000, (6, 5, 4))).float()
    thin = cubic_slices(thick, factor, axis)
    rounded = round_in_blocks(thin, factor, axis)
    assert torch.equal(rounded, rounded.round()) and (rounded - thin).abs().max() < 1
    assert torch.equal(block_mean(rounded, factor, axis).mul(factor).round(), thick * factor)


def test_cubic_slices_by_hand():
    """A ramp stays one between its ends; with two slices the spline through the sums 0, −6 and 0 is, on each side,
    −9u + 3u³ (flat ends, one smooth turn), so the halves of the first slice rise by −4.125 and −1.875.
    """
    ramp = torch.arange(12.0).reshape(12, 1, 1)
    inner = cubic_slices(ramp, 2)[8:16].flatten().tolist()
    assert inner == pytest.approx([3.75, 4.25, 4.75, 5.25, 5.75, 6.25, 6.75, 7.25], abs=0.01)
    two = torch.tensor([-6.0, 6.0]).reshape(2, 1, 1)
    assert cubic_slices(two, 2).flatten().tolist() == pytest.approx([-8.25, -3.75, 3.75, 8.25])


@pytest.mark.parametrize("factor", [2, 5])
def test_cubic_slices_of_a_real_ct_are_nearest_to_its_thin_ones(data, factor):
    """Slices of a real chest averaged and put back: nearer than repeated slices by a tenth at least, than linear
    interpolation even after its block means were set right, and its own block means are right already.
    """
    ct = read_volume(data / "chest_ts_aorta.nii.gz").voxels[20:80, 20:80, 20:80].astype(np.float32)
    thin = torch.from_numpy(ct)
    thick = block_mean(thin, factor)
    cubic, linear = (
        cubic_slices(thick, factor),
        project_to_block_means(interpolate_slices(thick, factor), thick, factor),
    )
    assert (block_mean(cubic, factor) - thick).abs().max() < 1e-3
    assert rms(cubic - thin) < rms(linear - thin) < rms(interpolate_slices(thick, factor) - thin)
    assert rms(cubic - thin) < 0.9 * rms(replicate(thick, factor) - thin)


class GaussianImage:
    """Columns x_0 ~ N(μ, C) along z, smooth over 4 slices: exact ε, and the exact mean of x_0 given its block means."""

    factor, slices, mu = 5, 8, 0.1

    def __init__(self):
        n = self.factor * self.slices
        apart = np.subtract.outer(np.arange(n), np.arange(n))
        self.C = 0.15**2 * np.exp(-(apart**2) / 32) + 1e-5 * np.eye(n)
        self.H = matrix_of_means(self.slices, self.factor)
        self.values, self.vectors = np.linalg.eigh(self.C)

    def draw(self, count: int = 64) -> np.ndarray:
        return self.mu + np.linalg.cholesky(self.C) @ np.random.default_rng(0).normal(size=(len(self.C), count))

    def posterior_mean(self, thick: np.ndarray) -> np.ndarray:
        return self.mu + self.C @ self.H.T @ np.linalg.solve(self.H @ self.C @ self.H.T, thick - self.mu)

    def posterior_sigma(self) -> float:
        HC = self.H @ self.C
        return math.sqrt(np.trace(self.C - HC.T @ np.linalg.solve(HC @ self.H.T, HC)) / len(self.C))

    def epsilon(self, x, t):
        a = float(SCHEDULE.alpha_bar[t])
        z = columns(x, 0) - math.sqrt(a) * self.mu
        gain = math.sqrt(a) * self.values / (a * self.values + 1 - a)
        x0 = self.mu + self.vectors @ (gain[:, None] * (self.vectors.T @ z))
        noise = (columns(x, 0) - math.sqrt(a) * x0) / math.sqrt(1 - a)
        return torch.from_numpy(noise).float().reshape(x.shape)

    def restore(self, y, t_start, steps, sigma_n, zeta, seed) -> np.ndarray:
        generator = torch.Generator().manual_seed(seed)
        a = float(SCHEDULE.alpha_bar[t_start])
        x = interpolate_slices(y, self.factor)
        x = math.sqrt(a) * x + math.sqrt(1 - a) * torch.randn(x.shape, generator=generator)
        step = super_resolution_data_step(y, plain(self.factor), sigma_n, 1.0, SCHEDULE)
        x0 = diffpir(self.epsilon, x, SCHEDULE, uniform_steps(t_start, steps), step, generator, zeta=zeta)
        return columns(project_to_block_means(x0, y, self.factor), 0)


def rms(difference):
    return float(np.sqrt(np.mean(np.asarray(difference) ** 2)))


def test_one_step_is_the_posterior_mean_and_equation_12():
    """In float64: x_t → E[x_0 | x_t] by the covariance's formula, then the least squares of the data step."""
    image, t = GaussianImage(), 150
    truth = image.draw(4)
    y = image.H @ truth
    a, n = float(SCHEDULE.alpha_bar[t]), len(image.C)
    x_t = math.sqrt(a) * truth + math.sqrt(1 - a) * np.random.default_rng(1).normal(size=truth.shape)
    prior = image.mu + math.sqrt(a) * image.C @ np.linalg.solve(
        a * image.C + (1 - a) * np.eye(n), x_t - math.sqrt(a) * image.mu
    )
    rho = 0.3**2 / SCHEDULE.sigma_bar(t) ** 2
    expected = prior + image.factor * image.H.T @ (y - image.H @ prior) / (1 + rho)
    step = super_resolution_data_step(torch.from_numpy(y).float()[..., None], plain(5), 0.3, 1.0, SCHEDULE)
    got = diffpir(image.epsilon, torch.from_numpy(x_t).float()[..., None], SCHEDULE, [t], step)
    np.testing.assert_allclose(columns(got, 0), expected, atol=1e-5)


def test_the_walk_finds_the_posterior_of_a_gaussian_image():
    """With the exact ε, a firm data step and fresh noise, results of many seeds are as samples of the posterior: their
    mean is its mean (0.3 σ off at most: 16 seeds alone give 0.2), one by itself is √2 σ from the truth at most, σ² the
    posterior's mean variance.
    """
    image = GaussianImage()
    truth = image.draw()
    y = torch.from_numpy(image.H @ truth).float().reshape(image.slices, 8, 8)
    exact, sigma = image.posterior_mean(image.H @ truth), image.posterior_sigma()
    results = [image.restore(y, 600, 100, 0.01, 1.0, seed) for seed in range(16)]
    assert rms(np.mean(results, axis=0) - exact) < 0.3 * sigma
    for result in results:
        assert sigma < rms(result - truth) < 1.1 * math.sqrt(2) * sigma


@pytest.mark.parametrize("quality", ["fast", "balanced"])
def test_the_quick_qualities_are_near_the_posterior(quality):
    """One seed of the prior alone, few steps: what the settings were chosen by. Linear interpolation is 1.7 σ off."""
    image, settings = GaussianImage(), QUALITIES[quality]
    truth = image.draw()
    y = torch.from_numpy(image.H @ truth).float().reshape(image.slices, 8, 8)
    got = image.restore(y, settings.t_start, settings.steps, settings.sigma_n, settings.zeta, seed=0)
    assert rms(got - truth) < math.sqrt(2) * image.posterior_sigma() < rms(columns(interpolate_slices(y, 5), 0) - truth)


def test_lowering_by_hand():
    """A ceiling of 50 over 90, 50, −20, mean 40: the others share out the 40 HU, until the second is at 50 as well.
    The block of −10, 0, 10 lies below and stays.
    """
    thin, thick = torch.tensor([90.0, 50, -20, -10, 0, 10]).reshape(6, 1, 1), torch.tensor([40.0, 0]).reshape(2, 1, 1)
    lowered = lower_within_blocks(thin, thick, 3, -3, torch.full_like(thick, 50))
    assert lowered.flatten().tolist() == pytest.approx([50, 50, 20, -10, 0, 10], abs=1e-3)
    sideways = lower_within_blocks(thin.movedim(0, 2), thick.movedim(0, 2), 3, -1, torch.full((1, 1, 2), 50.0))
    assert torch.equal(sideways.movedim(2, 0), lowered)


def test_where_soft_tissue_meets_lung_there_is_a_ceiling():
    """Liver of 60 HU beside lung; liver within; a rib beside lung; a vessel of the lung."""
    columns = torch.tensor([[60.0, 60, -850], [60, 60, 60], [300, 300, -850], [-60, -700, -850]]).T[..., None]
    ceiling = rim_ceiling(columns)[1, :, 0].tolist()
    assert ceiling == [80, math.inf, math.inf, math.inf]
