"""Samplers over whole volumes, each as short as its equations.

All have one signature: `epsilon(x_t, t)`, x at steps[0], the schedule, an explicit descending list of timesteps, a
`data_step(x_0, t)` that bends every estimate of x_0 towards what is known, a generator for fresh noise, and a
`callback(i, t, x0)` that is told every estimate and may raise to stop. They return x_0 of the last timestep. ᾱ is
looked up in float64; volumes are float32 tensors.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import torch

from .schedule import Schedule, check_steps

NoiseEstimate = Callable[[torch.Tensor, int], torch.Tensor]
DataStep = Callable[[torch.Tensor, int], torch.Tensor]
Callback = Callable[[int, int, torch.Tensor], None]


def keep(x0: torch.Tensor, t: int) -> torch.Tensor:
    """A data step that changes nothing."""
    return x0


def clip(x0: torch.Tensor, t: int) -> torch.Tensor:
    """A data step that keeps x_0 in the model's range: at much noise a small error of ε is a large one of x_0."""
    return x0.clamp(-1, 1)


def ignore(i: int, t: int, x0: torch.Tensor) -> None:
    """A callback that does nothing."""


def predict_x0(x_t: torch.Tensor, epsilon: torch.Tensor, alpha_bar: float) -> torch.Tensor:
    """x_0^(t) = (x_t − √(1 − ᾱ_t)·ε_θ)/√ᾱ_t   (paper, eq. 9)."""
    return (x_t - math.sqrt(1 - alpha_bar) * epsilon) / math.sqrt(alpha_bar)


def fresh_noise(like: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """z ~ N(0, I), drawn on the CPU, so that a seed gives the same noise on every device."""
    return torch.randn(like.shape, generator=generator).to(like.device)


def _pairs(schedule: Schedule, steps: Sequence[int]) -> Iterator[tuple[int, int, float, float | None]]:
    """(i, t, ᾱ_t, ᾱ_s) for every timestep t and the next one s; ᾱ_s is None at the last."""
    check_steps(steps, schedule.T)
    alphas = [float(schedule.alpha_bar[t]) for t in steps]
    yield from zip(itertools.count(), steps, alphas, [*alphas[1:], None], strict=False)


def ddim(
    epsilon: NoiseEstimate,
    x: torch.Tensor,
    schedule: Schedule,
    steps: Sequence[int],
    data_step: DataStep = keep,
    generator: torch.Generator | None = None,
    callback: Callback = ignore,
    eta: float = 0.0,
) -> torch.Tensor:
    """DDIM (Song et al. 2021, eq. 12 and 16): deterministic for η = 0, ancestral for η = 1.

    x_s = √ᾱ_s·x_0 + √(1 − ᾱ_s − σ²)·ε + σ·z,   σ = η·√((1 − ᾱ_s)/(1 − ᾱ_t))·√(1 − ᾱ_t/ᾱ_s)
    """
    for i, t, at, as_ in _pairs(schedule, steps):
        x0 = data_step(predict_x0(x, epsilon(x, t), at), t)
        callback(i, t, x0)
        if as_ is None:
            return x0
        noise = (x - math.sqrt(at) * x0) / math.sqrt(1 - at)
        sigma = eta * math.sqrt((1 - as_) / (1 - at) * (1 - at / as_))
        x = math.sqrt(as_) * x0 + math.sqrt(1 - as_ - sigma**2) * noise
        if sigma > 0:
            x = x + sigma * fresh_noise(x, generator)
    raise AssertionError  # the last timestep returns


def ancestral(
    epsilon: NoiseEstimate,
    x: torch.Tensor,
    schedule: Schedule,
    steps: Sequence[int],
    data_step: DataStep = keep,
    generator: torch.Generator | None = None,
    callback: Callback = ignore,
) -> torch.Tensor:
    """DDPM's ancestral sampling (Ho et al. 2020, eq. 6 and 7; paper, eq. 2), with the β of the steps really taken.

    x_s ~ q(x_s | x_t, x_0),   β = 1 − ᾱ_t/ᾱ_s between neighbours of the list, whatever lies between them
    """
    for i, t, at, as_ in _pairs(schedule, steps):
        x0 = data_step(predict_x0(x, epsilon(x, t), at), t)
        callback(i, t, x0)
        if as_ is None:
            return x0
        x = _posterior(x, x0, at, as_, generator)
    raise AssertionError


def _posterior(
    x: torch.Tensor, x0: torch.Tensor, at: float, as_: float, generator: torch.Generator | None
) -> torch.Tensor:
    """x_s ~ q(x_s | x_t, x_0) = N((√ᾱ_s·β·x_0 + √(1 − β)·(1 − ᾱ_s)·x_t)/(1 − ᾱ_t), β·(1 − ᾱ_s)/(1 − ᾱ_t))."""
    beta = 1 - at / as_
    mean = (math.sqrt(as_) * beta * x0 + math.sqrt(1 - beta) * (1 - as_) * x) / (1 - at)
    return mean + math.sqrt(beta * (1 - as_) / (1 - at)) * fresh_noise(x, generator)


def dpm_solver_2m(
    epsilon: NoiseEstimate,
    x: torch.Tensor,
    schedule: Schedule,
    steps: Sequence[int],
    data_step: DataStep = keep,
    generator: torch.Generator | None = None,
    callback: Callback = ignore,
) -> torch.Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2): second order from the estimate before; deterministic.

        λ_t = ½·log(ᾱ_t/(1 − ᾱ_t)),   h = λ_s − λ_t,   r = h_before/h
        x_s = √((1 − ᾱ_s)/(1 − ᾱ_t))·x_t − √ᾱ_s·(e^{−h} − 1)·D,   D = (1 + 1/2r)·x_0 − (1/2r)·x_0 of the step before

    The first step is of first order. `generator` is not used: it stands here for the common signature.
    """
    before, h_before = None, 0.0
    for i, t, at, as_ in _pairs(schedule, steps):
        x0 = data_step(predict_x0(x, epsilon(x, t), at), t)
        callback(i, t, x0)
        if as_ is None:
            return x0
        h = 0.5 * (math.log(as_ / (1 - as_)) - math.log(at / (1 - at)))
        D = x0 if before is None else x0 + (h / (2 * h_before)) * (x0 - before)
        x = math.sqrt((1 - as_) / (1 - at)) * x - math.sqrt(as_) * math.expm1(-h) * D
        before, h_before = x0, h
    raise AssertionError


def diffpir(
    epsilon: NoiseEstimate,
    x: torch.Tensor,
    schedule: Schedule,
    steps: Sequence[int],
    data_step: DataStep = keep,
    generator: torch.Generator | None = None,
    callback: Callback = ignore,
    zeta: float = 0.0,
) -> torch.Tensor:
    """DiffPIR (Zhu et al. 2023; paper, III-D1): the prior's x_0, the data step, and back to the noise of the next t.

        x_0 ← predict_x0(x_t),   x̂_0 ← data_step(x_0, t),   ε̂ = (x_t − √ᾱ_t·x̂_0)/√(1 − ᾱ_t)
        x_s = √ᾱ_s·x̂_0 + √(1 − ᾱ_s)·(√(1 − ζ)·ε̂ + √ζ·z),   z ~ N(0, I),  s the next timestep

    With a single step the result is the posterior mean at that t.
    """
    for i, t, at, as_ in _pairs(schedule, steps):
        x0 = data_step(predict_x0(x, epsilon(x, t), at), t)
        callback(i, t, x0)
        if as_ is None:
            return x0
        noise = (x - math.sqrt(at) * x0) / math.sqrt(1 - at)
        if zeta > 0:
            noise = math.sqrt(1 - zeta) * noise + math.sqrt(zeta) * fresh_noise(x, generator)
        x = math.sqrt(as_) * x0 + math.sqrt(1 - as_) * noise
    raise AssertionError


def repaint(
    epsilon: NoiseEstimate,
    x: torch.Tensor,
    schedule: Schedule,
    steps: Sequence[int],
    data_step: DataStep = keep,
    generator: torch.Generator | None = None,
    callback: Callback = ignore,
    *,
    known: torch.Tensor,
    mask: torch.Tensor,
    resample: int = 1,
) -> torch.Tensor:
    """RePaint (Lugmayr et al. 2022, algorithm 1; paper, eq. 13): ancestral sampling where `mask` is True, `known`
    elsewhere.

        x_s = (1 − m)·(√ᾱ_s·known + √(1 − ᾱ_s)·z) + m·(a sample of q(x_s | x_t, x_0))

    and, `resample` − 1 times in every step but the last, back to t by √(ᾱ_t/ᾱ_s)·x_s + √(1 − ᾱ_t/ᾱ_s)·z, so that the
    new part learns of the known one. In the end the truth itself stands where the mask is False, to the last bit. mask
    (bool) and known broadcast to x. A soft mask would be wrong here: a mixture of two noises has less noise than x_s
    must have. The callback's i counts the evaluations of the network, see `repaint_evaluations`.
    """
    evaluations = itertools.count()
    for _, t, at, as_ in _pairs(schedule, steps):
        for again in reversed(range(resample if as_ is not None else 1)):
            x0 = data_step(predict_x0(x, epsilon(x, t), at), t)
            callback(next(evaluations), t, x0)
            if as_ is None:
                return torch.where(mask, x0, known)
            noisy_known = math.sqrt(as_) * known + math.sqrt(1 - as_) * fresh_noise(x, generator)
            x = torch.where(mask, _posterior(x, x0, at, as_, generator), noisy_known)
            if again:
                x = math.sqrt(at / as_) * x + math.sqrt(1 - at / as_) * fresh_noise(x, generator)
    raise AssertionError


def repaint_evaluations(steps: Sequence[int], resample: int) -> int:
    """How often `repaint` evaluates the network: `resample` times a step, once at the last."""
    return resample * (len(steps) - 1) + 1
