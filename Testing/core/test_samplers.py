"""Samplers against a Gaussian toy problem whose exact posterior is known.

If x_0 ~ N(μ, s²) then E[x_0 | x_t] = μ + s²√ᾱ/(s²ᾱ + 1 − ᾱ) · (x_t − √ᾱ μ), and the exact ε follows from eq. 9.
"""

import math

import pytest
import torch

from MedDiffFMLib.samplers import denoising_data_step, diffpir, predict_x0
from MedDiffFMLib.schedule import cosine_schedule, uniform_steps

SCHEDULE = cosine_schedule()
MU, S = 0.2, 0.1


def exact_epsilon(x, t):
    a = float(SCHEDULE.alpha_bar[t])
    x0 = MU + S**2 * math.sqrt(a) / (S**2 * a + 1 - a) * (x - math.sqrt(a) * MU)
    return (x - math.sqrt(a) * x0) / math.sqrt(1 - a)


def test_predict_x0_by_hand():
    """√ᾱ = 0.8, √(1−ᾱ) = 0.6: x_t = 0.8·0.5 + 0.6·(−1) gives back 0.5."""
    x0 = predict_x0(torch.tensor([-0.2]), torch.tensor([-1.0]), 0.64)
    assert x0.item() == pytest.approx(0.5, abs=1e-6)


def test_data_step_of_equation_10_by_hand():
    """At σ̄_t = 0.15 with σ_n = 0.15 and λ = 10: ρ = 10, so x̂_0 = (y + 10·x_0)/11; at small t the prior alone
    stays.
    """
    y, x0 = torch.tensor([1.0]), torch.tensor([0.0])
    step = denoising_data_step(y, SCHEDULE.sigma_bar(87), 10.0, SCHEDULE)
    assert step(x0, 87).item() == pytest.approx(1 / 11, abs=1e-6)
    assert step(x0, 0).item() < 1e-3


def test_single_step_is_the_exact_posterior_mean():
    """y = x_0 + n with n ~ N(0, σ²): E[x_0|y] = (σ²μ + s²y)/(σ² + s²)."""
    t = 118
    sigma = SCHEDULE.sigma_bar(t)
    y = torch.linspace(-1, 1, 11)
    x0 = diffpir(exact_epsilon, math.sqrt(SCHEDULE.alpha_bar[t]) * y, SCHEDULE, [t], lambda x0, t: x0)
    expected = (sigma**2 * MU + S**2 * y) / (sigma**2 + S**2)
    assert x0.sub(expected).abs().max() < 1e-6


def test_without_noise_and_data_the_walk_is_the_exact_flow():
    """ζ = 0 and no data step is DDIM with η = 0, in the limit of many steps the probability flow: a Gaussian keeps its
    quantile, x_0 = μ + s·(x_t − √ᾱμ)/√(s²ᾱ + 1 − ᾱ)."""
    t = 400
    a = float(SCHEDULE.alpha_bar[t])
    x = torch.linspace(-1, 1, 9)
    x0 = diffpir(exact_epsilon, x, SCHEDULE, uniform_steps(t, t + 1), lambda x0, t: x0)
    expected = MU + S * (x - math.sqrt(a) * MU) / math.sqrt(S**2 * a + 1 - a)
    assert x0.sub(expected).abs().max() < 0.01


def test_data_step_pulls_towards_the_measurement():
    """With a small λ the result is the measurement, with a large one the prior's walk."""
    y = torch.full((5,), 0.6)
    t = SCHEDULE.t_of_sigma(0.1)
    start = math.sqrt(SCHEDULE.alpha_bar[t]) * y

    def run(weight):
        step = denoising_data_step(y, 0.1, weight, SCHEDULE)
        return diffpir(exact_epsilon, start, SCHEDULE, [t, t // 2], step).mean().item()

    assert run(1e-6) == pytest.approx(0.6, abs=1e-3)
    assert run(1e6) < run(1.0) < 0.6


def test_fresh_noise_follows_the_seed():
    x = torch.zeros(50)

    def run(seed):
        generator = torch.Generator().manual_seed(seed)
        return diffpir(exact_epsilon, x, SCHEDULE, [200, 100, 0], generator=generator, zeta=0.5)

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


def test_callback_is_told_every_estimate_and_may_stop():
    seen = []

    def callback(i, t, x0):
        seen.append((i, t))
        if i == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        diffpir(exact_epsilon, torch.zeros(3), SCHEDULE, [9, 5, 0], lambda x0, t: x0, callback=callback)
    assert seen == [(0, 9), (1, 5)]
