"""Samplers over whole volumes, each as short as its equations.

All have one signature: `eps(x_t, t)` predicts the noise; x at steps[0]; the schedule; an explicit descending list of
timesteps; a `data_step(x_0, t)` that corrects every estimate of x_0 by what is known; a generator for new noise; and a
`callback(i, t, x0)` that gets every estimate and may raise to stop. They return x_0 of the last timestep. ᾱ is looked
up in float64; volumes are float32 tensors.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from .schedule import Schedule, check_steps, predict_eps

NoisePrediction = Callable[[torch.Tensor, int], torch.Tensor]
DataStep = Callable[[torch.Tensor, int], torch.Tensor]
Callback = Callable[[int, int, torch.Tensor], None]


def identity(x0: torch.Tensor, t: int) -> torch.Tensor:
    """x_0 unchanged: the data step of a sampler without measurements."""
    return x0


def clip(x0: torch.Tensor, t: int) -> torch.Tensor:
    """x_0 within the model's range [-1, 1]: at much noise a small error of ε is a large one of x_0."""
    return x0.clamp(-1, 1)


def no_callback(i: int, t: int, x0: torch.Tensor) -> None:
    """Do nothing with an estimate: the callback of a sampler that nobody watches."""


def predict_x0(x_t: torch.Tensor, eps: torch.Tensor, abar: float) -> torch.Tensor:
    """The estimate of x_0 from the noise ε that a network sees in x_t.

    x_0^(t) = (x_t − √(1 − ᾱ_t)·ε_θ)/√ᾱ_t   [paper eq. 9]
    """
    return (x_t - math.sqrt(1 - abar) * eps) / math.sqrt(abar)


def randn_like(x: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """Noise z ~ N(0, I) of x's shape, drawn on the CPU, so that a seed gives the same noise on every device."""
    return torch.randn(x.shape, generator=generator).to(x.device)


def _walk(schedule: Schedule, steps: Sequence[int]) -> Iterator[tuple[int, int, float, float]]:
    """The steps (i, t, ᾱ_t, ᾱ_s) for every timestep t that has a next one s. ValueError as of `check_steps`."""
    check_steps(steps, schedule.T)
    for i, (t, s) in enumerate(itertools.pairwise(steps)):
        yield i, t, float(schedule.alpha_bar[t]), float(schedule.alpha_bar[s])


def _x0_estimator(
    eps: NoisePrediction, schedule: Schedule, data_step: DataStep, callback: Callback
) -> Callable[[int, torch.Tensor, int], torch.Tensor]:
    """The function x0_of(i, x_t, t): the network's estimate of x_0, corrected by the data step and shown to the
    callback.
    """

    def x0_of(i: int, x: torch.Tensor, t: int) -> torch.Tensor:
        x0 = data_step(predict_x0(x, eps(x, t), float(schedule.alpha_bar[t])), t)
        callback(i, t, x0)
        return x0

    return x0_of


def ddim(
    eps: NoisePrediction,
    x: torch.Tensor,
    schedule: Schedule,
    steps: Sequence[int],
    data_step: DataStep = identity,
    generator: torch.Generator | None = None,
    callback: Callback = no_callback,
    eta: float = 0.0,
) -> torch.Tensor:
    """DDIM (Song et al. 2021, eq. 12 and 16): deterministic for η = 0, ancestral for η = 1.

    x_s = √ᾱ_s·x_0 + √(1 − ᾱ_s − σ²)·ε + σ·z,   σ = η·√((1 − ᾱ_s)/(1 − ᾱ_t))·√(1 − ᾱ_t/ᾱ_s)
    """
    x0_of = _x0_estimator(eps, schedule, data_step, callback)
    for i, t, abar_t, abar_s in _walk(schedule, steps):
        x0 = x0_of(i, x, t)
        noise = predict_eps(x, x0, abar_t)
        sigma = eta * math.sqrt((1 - abar_s) / (1 - abar_t) * (1 - abar_t / abar_s))
        x = math.sqrt(abar_s) * x0 + math.sqrt(1 - abar_s - sigma**2) * noise
        if sigma > 0:
            x = x + sigma * randn_like(x, generator)
    return x0_of(len(steps) - 1, x, steps[-1])


def ancestral(
    eps: NoisePrediction,
    x: torch.Tensor,
    schedule: Schedule,
    steps: Sequence[int],
    data_step: DataStep = identity,
    generator: torch.Generator | None = None,
    callback: Callback = no_callback,
) -> torch.Tensor:
    """DDPM's ancestral sampling (Ho et al. 2020, eq. 6 and 7; paper eq. 2), with the β of the steps that are taken.

    x_s ~ q(x_s | x_t, x_0),   β = 1 − ᾱ_t/ᾱ_s between neighbors of the list, whatever lies between them
    """
    x0_of = _x0_estimator(eps, schedule, data_step, callback)
    for i, t, abar_t, abar_s in _walk(schedule, steps):
        x0 = x0_of(i, x, t)
        x = _posterior(x, x0, abar_t, abar_s, generator)
    return x0_of(len(steps) - 1, x, steps[-1])


def _posterior(
    x: torch.Tensor, x0: torch.Tensor, abar_t: float, abar_s: float, generator: torch.Generator | None
) -> torch.Tensor:
    """A sample x_s of q(x_s | x_t, x_0) = N((√ᾱ_s·β·x_0 + √(1 − β)·(1 − ᾱ_s)·x_t)/(1 − ᾱ_t), β·(1 − ᾱ_s)/(1 − ᾱ_t))."""
    beta = 1 - abar_t / abar_s
    mean = (math.sqrt(abar_s) * beta * x0 + math.sqrt(1 - beta) * (1 - abar_s) * x) / (1 - abar_t)
    return mean + math.sqrt(beta * (1 - abar_s) / (1 - abar_t)) * randn_like(x, generator)


def dpm_solver_2m(
    eps: NoisePrediction,
    x: torch.Tensor,
    schedule: Schedule,
    steps: Sequence[int],
    data_step: DataStep = identity,
    generator: torch.Generator | None = None,
    callback: Callback = no_callback,
) -> torch.Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2): second order from the estimate before; deterministic.

        λ_t = ½·log(ᾱ_t/(1 − ᾱ_t)),   h = λ_s − λ_t,   r = h_before/h
        x_s = √((1 − ᾱ_s)/(1 − ᾱ_t))·x_t − √ᾱ_s·(e^{−h} − 1)·D,   D = (1 + 1/2r)·x_0 − (1/2r)·x_0 of the step before

    The first step is of first order. `generator` is not used; it is part of the common signature.
    """
    before, h_before = None, 0.0
    x0_of = _x0_estimator(eps, schedule, data_step, callback)
    for i, t, abar_t, abar_s in _walk(schedule, steps):
        x0 = x0_of(i, x, t)
        h = 0.5 * (math.log(abar_s / (1 - abar_s)) - math.log(abar_t / (1 - abar_t)))
        D = x0 if before is None else x0 + (h / (2 * h_before)) * (x0 - before)
        x = math.sqrt((1 - abar_s) / (1 - abar_t)) * x - math.sqrt(abar_s) * math.expm1(-h) * D
        before, h_before = x0, h
    return x0_of(len(steps) - 1, x, steps[-1])


def diffpir(
    eps: NoisePrediction,
    x: torch.Tensor,
    schedule: Schedule,
    steps: Sequence[int],
    data_step: DataStep = identity,
    generator: torch.Generator | None = None,
    callback: Callback = no_callback,
    zeta: float = 0.0,
) -> torch.Tensor:
    """DiffPIR (Zhu et al. 2023; paper, III-D1): the prior's x_0, the data step, and back to the noise of the next t.

        x_0 ← predict_x0(x_t),   x̂_0 ← data_step(x_0, t),   ε̂ = (x_t − √ᾱ_t·x̂_0)/√(1 − ᾱ_t)
        x_s = √ᾱ_s·x̂_0 + √(1 − ᾱ_s)·(√(1 − ζ)·ε̂ + √ζ·z),   z ~ N(0, I),  s the next timestep

    With a single step the result is the posterior mean at that t.
    """
    x0_of = _x0_estimator(eps, schedule, data_step, callback)
    for i, t, abar_t, abar_s in _walk(schedule, steps):
        x0 = x0_of(i, x, t)
        noise = predict_eps(x, x0, abar_t)
        if zeta > 0:
            noise = math.sqrt(1 - zeta) * noise + math.sqrt(zeta) * randn_like(x, generator)
        x = math.sqrt(abar_s) * x0 + math.sqrt(1 - abar_s) * noise
    return x0_of(len(steps) - 1, x, steps[-1])


@dataclass(frozen=True)
class Inpainting:
    """The image that `repaint` completes. known: x_0 in the model's range; mask: bool, True where it is to be new; both
    broadcast to x. n_resample: how often each step is done, so that the new part adapts to the known one.
    """

    known: torch.Tensor
    mask: torch.Tensor
    n_resample: int = 1


def repaint(
    eps: NoisePrediction,
    x: torch.Tensor,
    schedule: Schedule,
    steps: Sequence[int],
    data_step: DataStep = identity,
    generator: torch.Generator | None = None,
    callback: Callback = no_callback,
    *,
    inpainting: Inpainting,
) -> torch.Tensor:
    """RePaint (Lugmayr et al. 2022, algorithm 1; paper eq. 13): ancestral sampling where the mask m is True, the known
    image elsewhere.

        x_s = (1 − m)·(√ᾱ_s·known + √(1 − ᾱ_s)·z) + m·(a sample of q(x_s | x_t, x_0))

    and, `n_resample` − 1 times in every step but the last, back to t by √(ᾱ_t/ᾱ_s)·x_s + √(1 − ᾱ_t/ᾱ_s)·z, so that the
    new part adapts to the known one. At the end `known` is copied unchanged where the mask is False. A soft mask would
    be wrong here: a mixture of two noises has less noise than x_s must have. The callback's i counts the evaluations of
    the network, see `repaint_evaluations`.
    """
    known, mask, n_resample = inpainting.known, inpainting.mask, inpainting.n_resample
    x0_of, evaluations = _x0_estimator(eps, schedule, data_step, callback), itertools.count()
    for _, t, abar_t, abar_s in _walk(schedule, steps):
        for again in reversed(range(n_resample)):
            x0 = x0_of(next(evaluations), x, t)
            noisy_known = math.sqrt(abar_s) * known + math.sqrt(1 - abar_s) * randn_like(x, generator)
            x = torch.where(mask, _posterior(x, x0, abar_t, abar_s, generator), noisy_known)
            if again:
                x = math.sqrt(abar_t / abar_s) * x + math.sqrt(1 - abar_t / abar_s) * randn_like(x, generator)
    return torch.where(mask, x0_of(next(evaluations), x, steps[-1]), known)


def repaint_evaluations(steps: Sequence[int], resample: int) -> int:
    """The number of times that `repaint` evaluates the network: `resample` times a step, once at the last."""
    return resample * (len(steps) - 1) + 1
