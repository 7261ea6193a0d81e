"""Samplers against a Gaussian toy problem whose exact posterior is known.

If x_0 ~ N(μ, s²) then E[x_0 | x_t] = μ + s²√ᾱ/(s²ᾱ + 1 − ᾱ) · (x_t − √ᾱ μ), and the exact ε follows from eq. 9.
The probability flow keeps a Gaussian's quantile:
x_s = √ᾱ_s μ + √((s²ᾱ_s + 1 − ᾱ_s)/(s²ᾱ_t + 1 − ᾱ_t)) · (x_t − √ᾱ_t μ).
"""

import inspect
import itertools
import math

import numpy as np
import pytest
import torch

from MedDiffFMLib.diffusion.data_steps import denoising_data_step
from MedDiffFMLib.diffusion.samplers import (
    Inpainting,
    ancestral,
    clip,
    ddim,
    diffpir,
    dpm_solver_2m,
    identity,
    predict_x0,
    repaint,
    repaint_evaluations,
)
from MedDiffFMLib.diffusion.schedule import Schedule, cosine_schedule, quadratic_steps, uniform_steps

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


def flow(x, t, s):
    """The exact probability flow from t to s."""
    a, b = (float(SCHEDULE.alpha_bar[i]) for i in (t, s))
    return math.sqrt(b) * MU + math.sqrt((S**2 * b + 1 - b) / (S**2 * a + 1 - a)) * (x - math.sqrt(a) * MU)


def flow_error(sampler, count, t=900, s=20):
    """Largest distance from the exact x_0 at s, where the walk of `count` timesteps from t ends."""
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    exact = flow(x, t, s)
    exact = predict_x0(exact, exact_epsilon(exact, s), float(SCHEDULE.alpha_bar[s]))
    steps = np.rint(np.linspace(t, s, count)).astype(int).tolist()
    return sampler(exact_epsilon, x, SCHEDULE, steps).sub(exact).abs().max().item()


def test_ddim_falls_towards_the_exact_flow_at_first_order():
    errors = [flow_error(ddim, n) for n in (101, 201, 401)]
    assert errors[2] < 0.005
    assert all(1.7 < a / b < 2.3 for a, b in itertools.pairwise(errors))


def test_dpm_solver_is_of_second_order_and_beats_ddim():
    errors = [flow_error(dpm_solver_2m, n) for n in (101, 201, 401)]
    assert all(3.4 < a / b < 4.8 for a, b in itertools.pairwise(errors))
    assert errors[0] < flow_error(ddim, 101) / 4 and errors[2] < flow_error(ddim, 401) / 16


def test_dpm_solver_by_hand():
    """λ = −1, 0, ½ (ᾱ = 1/(1 + e^−2λ)), estimates 0 and then 1: h = 1, then h = ½ and r = 2, so D = 1 + ¼·(1 − 0).
    The first step is of first order."""
    alphas = [1 / (1 + math.exp(2 * u)) for u in (1, 0, -0.5)]
    estimates, seen = {2: 0.0, 1: 1.0, 0: 0.0}, {}

    def epsilon(x, t):
        seen[t] = x.item()
        a = alphas[2 - t]
        return (x - math.sqrt(a) * estimates[t]) / math.sqrt(1 - a)

    dpm_solver_2m(epsilon, torch.tensor([1.0], dtype=torch.float64), Schedule(np.array(alphas[::-1])), [2, 1, 0])
    first = math.sqrt((1 - alphas[1]) / (1 - alphas[0]))
    second = math.sqrt((1 - alphas[2]) / (1 - alphas[1])) * first + math.sqrt(alphas[2]) * (1 - math.exp(-0.5)) * 1.25
    assert (seen[1], seen[0]) == (pytest.approx(first), pytest.approx(second))


def sampled(sampler, steps, seed=0, count=20_000, **options):
    """Mean and standard deviation of many samples from noise."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, generator=generator)
    x0 = sampler(exact_epsilon, x, SCHEDULE, steps, generator=generator, **options)
    return x0.mean().item(), x0.std().item()


@pytest.mark.parametrize("sampler, options", [(ancestral, {}), (ddim, {"eta": 1.0})])
def test_stochastic_walks_sample_the_law_with_every_timestep_and_with_skipped_ones(sampler, options):
    """N(0.2, 0.1²), the variance from below as steps grow closer. A β of neighbors 1 apart in place of the skipped
    ones would keep the noise of x_T."""
    every = sampled(sampler, list(range(999, -1, -1)), count=4000, **options)
    assert every == (pytest.approx(MU, abs=0.005), pytest.approx(S, abs=0.005))
    few, some, many = (sampled(sampler, quadratic_steps(990, n), **options) for n in (15, 50, 200))
    assert all(mean == pytest.approx(MU, abs=0.004) for mean, _ in (few, some, many))
    assert 0.07 < few[1] < some[1] < many[1] < 0.101
    assert many[1] == pytest.approx(S, abs=0.004)


def test_ddim_with_eta_1_is_ancestral_for_the_same_noise():
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    for steps in (uniform_steps(990, 7), list(range(60, -1, -1))):
        a = ancestral(exact_epsilon, x, SCHEDULE, steps, generator=torch.Generator().manual_seed(5))
        b = ddim(exact_epsilon, x, SCHEDULE, steps, generator=torch.Generator().manual_seed(5), eta=1.0)
        assert torch.allclose(a, b, atol=1e-9)


def test_ancestral_step_by_hand():
    """One step against q(x_s|x_t, x_0) made by Bayes' rule: with α = ᾱ_t/ᾱ_s and β = 1 − α its precision is
    1/(1 − ᾱ_s) + α/β, its mean the weighted sum of √ᾱ_s·x_0 and x_t/√α."""
    t, s = 600, 200
    at, as_ = (float(SCHEDULE.alpha_bar[i]) for i in (t, s))
    alpha = at / as_
    seen = []

    def epsilon(x, now):
        seen.append(x)
        return exact_epsilon(x, now)

    x = torch.full((200_000,), 0.7)
    ancestral(epsilon, x, SCHEDULE, [t, s], generator=torch.Generator().manual_seed(0))
    x0 = predict_x0(x[0], exact_epsilon(x[0], t), at).item()
    known, walked = 1 / (1 - as_), alpha / (1 - alpha)
    mean = (known * math.sqrt(as_) * x0 + walked * 0.7 / math.sqrt(alpha)) / (known + walked)
    assert seen[1].mean().item() == pytest.approx(mean, abs=0.003)
    assert seen[1].std().item() == pytest.approx(math.sqrt(1 / (known + walked)), rel=0.01)


# RePaint: two voxels of equal law, correlated by ρ = 7/9; the first is known to be 0.5
MU2, C2 = torch.tensor([0.2, -0.3]), torch.tensor([[0.09, 0.07], [0.07, 0.09]])
EXACT = (-0.3 + 7 / 9 * (0.5 - 0.2), math.sqrt(0.09 - 0.07**2 / 0.09))  # mean and σ of the second, given the first


def joint_epsilon(x, t):
    """ε = √(1 − ᾱ)·(ᾱC + (1 − ᾱ)I)⁻¹·(x_t − √ᾱμ): the score of N(√ᾱμ, ᾱC + (1 − ᾱ)I)."""
    a = float(SCHEDULE.alpha_bar[t])
    return math.sqrt(1 - a) * (x - math.sqrt(a) * MU2) @ torch.linalg.inv(a * C2 + (1 - a) * torch.eye(2))


def painted(resample, steps=None, count=4000, seed=0, epsilon=joint_epsilon, known=0.5):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 2, generator=generator)
    return repaint(
        epsilon,
        x,
        SCHEDULE,
        steps or quadratic_steps(990, 100),
        generator=generator,
        # what `known` holds in the unknown place must not matter
        inpainting=Inpainting(torch.tensor([known, 9.0]), torch.tensor([False, True]), resample),
    )


def test_repaint_approaches_the_exact_conditional_with_more_resampling():
    """Mean and σ of the second voxel given the first, −0.067 and 0.189, from the prior's −0.3 and 0.3."""
    new = [painted(u)[:, 1] for u in (1, 4, 16)]
    errors = [math.hypot(v.mean().item() - EXACT[0], v.std().item() - EXACT[1]) for v in new]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert new[2].mean().item() == pytest.approx(EXACT[0], abs=0.02)
    assert new[2].std().item() == pytest.approx(EXACT[1], abs=0.02)


def test_repaint_gives_the_known_part_back_to_the_last_bit_at_the_last_step():
    known = 0.123456789
    assert torch.equal(painted(2, count=50, known=known)[:, 0], torch.full((50,), known))
    assert torch.equal(painted(1, [7], count=50, known=known)[:, 0], torch.full((50,), known))


def test_repaint_heeds_the_known_part_at_every_step():
    """The trap of arguments swapped: another known value moves the new one by ρ = 7/9 of it, and not the reverse."""
    moved = painted(8, known=0.8)[:, 1].mean() - painted(8, known=0.5)[:, 1].mean()
    assert moved.item() == pytest.approx(7 / 9 * 0.3, abs=0.04)


def test_repaint_shows_the_network_the_known_part_at_its_own_noise():
    """x_t of the known voxel is N(√ᾱ·0.5, 1 − ᾱ) at every evaluation, also after going back from s to t."""
    seen = []

    def epsilon(x, t):
        seen.append((t, x[:, 0].mean().item(), x[:, 0].std().item()))
        return joint_epsilon(x, t)

    painted(3, [700, 400, 100, 0], count=20_000, epsilon=epsilon)
    assert [t for t, *_ in seen] == [700] * 3 + [400] * 3 + [100] * 3 + [0]
    for t, mean, sigma in seen[1:]:  # the first is x_T, which the caller gave
        a = float(SCHEDULE.alpha_bar[t])
        assert mean == pytest.approx(math.sqrt(a) * 0.5, abs=0.02)
        assert sigma == pytest.approx(math.sqrt(1 - a), abs=0.02)


def test_repaint_resamples_inside_the_time_loop_and_says_what_it_costs():
    calls = []
    steps = [300, 200, 100, 0]
    generator = torch.Generator().manual_seed(0)
    repaint(
        joint_epsilon,
        torch.zeros(2),
        SCHEDULE,
        steps,
        identity,
        generator,
        lambda i, t, x0: calls.append((i, t)),
        inpainting=Inpainting(torch.zeros(2), torch.tensor([False, True]), n_resample=3),
    )
    assert calls == list(enumerate([300] * 3 + [200] * 3 + [100] * 3 + [0]))
    assert len(calls) == repaint_evaluations(steps, 3) == 10


def test_all_samplers_have_one_signature():
    names = [list(inspect.signature(f).parameters)[:7] for f in (ddim, ancestral, dpm_solver_2m, diffpir, repaint)]
    assert all(n == ["eps", "x", "schedule", "steps", "data_step", "generator", "callback"] for n in names)


@pytest.mark.parametrize("sampler", [ddim, ancestral, dpm_solver_2m, diffpir])
def test_every_sampler_obeys_its_data_step_and_its_callback(sampler):
    """x_0 is clipped at every step and in the result; the callback gets each; a list that climbs is refused."""
    calls, x = [], torch.full((4,), 30.0)
    x0 = sampler(exact_epsilon, x, SCHEDULE, [99, 50, 0], clip, callback=lambda i, t, x0: calls.append((i, t, x0)))
    assert [(i, t) for i, t, _ in calls] == [(0, 99), (1, 50), (2, 0)]
    assert calls[0][2].max() == 1 and x0.max() <= 1
    with pytest.raises(ValueError):
        sampler(exact_epsilon, x, SCHEDULE, [50, 99, 0])
