"""Progressive distillation (Salimans & Ho 2022, algorithm 2): a student does in one DDIM step what its teacher does in
two; then it is the teacher of the next, with half the steps again.

The walk is `trailing_steps`, each list contained in that of twice the count, so a student's step from t to s is the
teacher's from t to m and from m to s. With the network's x_0 clipped as in synthesis and r_ts = √((1 − ᾱ_s)/(1 − ᾱ_t)),
DDIM's step is

    x_s = (√ᾱ_s − r_ts·√ᾱ_t)·x_0 + r_ts·x_t,          ᾱ_s = 1 and r_ts = 0 where the walk ends at the clean image.

The student must say the x̃_0 that leads from x_t to the teacher's x_s at once. Solved for it, with the teacher's two
steps put in and r_tm·r_ms = r_ts, it is a weighted mean of what the teacher says at t and at m (`weight_of_second`):

    x̃_0 = (1 − w)·x_0(x_t, t) + w·x_0(x_m, m),     w = (√ᾱ_s − r_ms·√ᾱ_m)/(√ᾱ_s − r_ts·√ᾱ_t)

so it stays in the model's range, and at the walk's end w = 1. The loss is pre-training's, of v: on x_0 it weighs
1/√(1 − ᾱ_t) = √(SNR + 1) (their appendix D), and needs no division by √ᾱ_t.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from MedDiffFMLib.diffusion.schedule import T_START, add_noise, trailing_steps
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.config import verify
from MedDiffFMLib.models.folder import load_network
from MedDiffFMLib.networks.unet import Denoiser

from ..data.store import Case
from .batches import TrainingBatch
from .config import PretrainConfig
from .trainer import Trainer

MOST_STEPS = 512  # of the first walk; more would meet a timestep twice
HARD = 2  # rounds down to 2 and 1 steps take twice as many updates, as in the source


def shrink(alpha_from: torch.Tensor, alpha_to: torch.Tensor) -> torch.Tensor:
    """The share r = √((1 − ᾱ_to)/(1 − ᾱ_from)) of x_t that a DDIM step leaves."""
    return ((1 - alpha_to) / (1 - alpha_from)).sqrt()


def ddim_step(x_t: torch.Tensor, x0: torch.Tensor, alpha_t: torch.Tensor, alpha_s: torch.Tensor) -> torch.Tensor:
    """The DDIM step to x_s from x_t and an estimate of x_0; ᾱ (float64) broadcast over them."""
    r = shrink(alpha_t, alpha_s)
    return (alpha_s.sqrt() - r * alpha_t.sqrt()).float() * x0 + r.float() * x_t


def weight_of_second(alpha_t: torch.Tensor, alpha_m: torch.Tensor, alpha_s: torch.Tensor) -> torch.Tensor:
    """The weight w of the teacher's second estimate in the student's target; float64, in (0, 1]."""
    second = alpha_s.sqrt() - shrink(alpha_m, alpha_s) * alpha_m.sqrt()
    return second / (alpha_s.sqrt() - shrink(alpha_t, alpha_s) * alpha_t.sqrt())


class DistillTrainer(Trainer):
    """One round: a student of `config.distilled_to` steps, which starts as a copy of its teacher of twice as many."""

    def __init__(self, config: PretrainConfig, cases: Sequence[Case], folder: Path, teacher: Denoiser, **options):
        if teacher.config.prediction != "v":
            raise InputError(
                "The teacher predicts ε, from which a single step learns nothing: distill a model that predicts v."
            )
        self.teacher = teacher
        settings = replace(config, network=teacher.config, low_noise=0.0, ct_noise=0.0, sample_every=0)
        super().__init__(settings, cases, folder, **options)
        self.teacher.to(self.device).to(memory_format=self.memory_format)
        walk = sorted(trailing_steps(T_START, 2 * config.distilled_to))
        self.walk = torch.tensor([-1, *walk])  # ascending; -1 is the clean image
        self.alphas = torch.tensor([1.0, *self.schedule.alpha_bar[walk]], dtype=torch.float64)

    def make_network(self) -> Denoiser:
        return copy.deepcopy(self.teacher).requires_grad_(True)

    def update(self, batches: Sequence[TrainingBatch]) -> dict[str, float]:
        return super().update([self.on_walk(batch) for batch in batches])

    def losses(self, batch: TrainingBatch) -> torch.Tensor:
        """The loss of each sample, (B,), at the student's timesteps: any t is accepted, as validation needs."""
        return super().losses(self.on_walk(batch))

    def on_walk(self, batch: TrainingBatch) -> TrainingBatch:
        """The batch with each t moved to one of the student's timesteps, all equally often, and x_t made for it.

        A t that is already there stays.
        """
        steps = self.walk[2::2]
        t = steps[batch.t * len(steps) // self.schedule.T]
        samples = zip(batch.crops, t.tolist(), batch.eps, strict=True)
        x_t = torch.stack([add_noise(crop.x0, at, self.schedule, eps) for crop, at, eps in samples])
        return replace(batch, t=t, x_t=x_t)

    @torch.no_grad()
    def target(self, batch: TrainingBatch) -> torch.Tensor:
        """The student's target, v of x̃_0, (B, 1, Z, Y, X), for a batch of `on_walk`."""
        x_t, t, *conditions = self.inputs(batch)
        index = torch.searchsorted(self.walk, batch.t)
        alpha_t, alpha_m, alpha_s = (self._alpha(index - back).to(self.device) for back in range(3))
        first = self._x0(x_t, t, alpha_t, conditions)
        x_m = ddim_step(x_t, first, alpha_t, alpha_m)
        second = self._x0(x_m, self.walk[index - 1].to(self.device), alpha_m, conditions)
        x0 = torch.lerp(first, second, weight_of_second(alpha_t, alpha_m, alpha_s).float())
        return (alpha_t.sqrt().float() * x_t - x0) / (1 - alpha_t).sqrt().float()

    def _alpha(self, index: torch.Tensor) -> torch.Tensor:
        return self.alphas[index].view(-1, 1, 1, 1, 1)

    def _x0(self, x: torch.Tensor, t: torch.Tensor, alpha: torch.Tensor, conditions: list) -> torch.Tensor:
        """The teacher's x_0 = √ᾱ·x − √(1 − ᾱ)·v̂, in the model's range."""
        with self.autocast():
            v = self.teacher(x, t, *conditions).float()
        return (alpha.sqrt().float() * x - (1 - alpha).sqrt().float() * v).clamp(-1, 1)


def rounds(
    config: PretrainConfig, cases: Sequence[Case], run: Path, model: Path, steps: tuple[int, int], **options
) -> Iterator[DistillTrainer]:
    """The rounds from the walk of steps[0] of the model in the folder `model` down to steps[1], each in run/steps-K.

    Ask for the next only when one is trained: its averaged weights are the next one's teacher. options: the
    `Trainer`'s. InputError unless the first number, halved some times, is the last.
    """
    first, last = steps
    counts = [first >> n for n in range(1, first.bit_length()) if first >> n >= last]
    if not counts or last << len(counts) != first or first > MOST_STEPS:
        raise InputError(
            f"{first} steps cannot be halved to {last}: choose powers of two up to {MOST_STEPS}, as 32 and 1."
        )
    record = verify(model)
    teacher = load_network(model, record)
    for count in counts:
        updates = config.steps * (HARD if count <= 2 else 1)
        settings = replace(config, distilled_to=count, steps=updates, seed=config.seed + count)
        trainer = DistillTrainer(settings, cases, Path(run) / f"steps-{count}", teacher, **options)
        trainer.origin = {"distilled_from": record["name"], "distilled_from_sha256": record["weights"]["sha256"]}
        yield trainer
        teacher = copy.deepcopy(trainer.average.module).eval()
