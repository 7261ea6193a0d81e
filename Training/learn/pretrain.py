"""Pre-training of ε_θ (paper, III-B, eq. 3):  E ‖ε − ε_θ(x_t, t, p_e, c_r, c_a)‖₁,  x_t = √ᾱ_t·x_0 + √(1 − ᾱ_t)·ε.

Everything random is drawn from (seed, number of the sample), so that a run that was killed and resumed sees the
same crops, noise and timesteps as one that was not.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Dataset

from MedDiffFMLib.network import Denoiser, v_target
from MedDiffFMLib.schedule import Schedule, cosine_schedule

from ..data.crops import Crop, draw_crop
from ..data.noise import ct_noise
from ..data.store import Case
from .config import PretrainConfig

T_BANDS = (30, 100, 300, 1000)


def draw_timestep(rng: np.random.Generator, config: PretrainConfig, schedule: Schedule) -> int:
    """t uniform in [0, T), or for a share of the samples σ̄_t log-uniform over the noise that CT has."""
    if rng.random() < config.low_noise:
        return schedule.t_of_sigma(math.exp(rng.uniform(*np.log(config.low_sigma))))
    return int(rng.integers(schedule.T))


def draw_noise(rng: np.random.Generator, config: PretrainConfig, schedule: Schedule, crop: Crop, t: int) -> np.ndarray:
    """White noise; for a share of the scans' own crops at CT's noise levels, noise correlated as CT's is."""
    fits = crop.level == "own" and schedule.sigma_bar(t) <= config.low_sigma[1]
    if fits and rng.random() < config.ct_noise:
        return ct_noise(rng, crop.x0.shape)
    return rng.standard_normal(crop.x0.shape, dtype=np.float32)


@dataclass
class Batch:
    """Samples of one pass: x_t and ε (B, 1, Z, Y, X), t (B,), and the crops with their conditions."""

    x_t: torch.Tensor
    epsilon: torch.Tensor
    t: torch.Tensor
    crops: list[Crop]


def draw_batch(cases: Sequence[Case], config: PretrainConfig, schedule: Schedule, first: int) -> Batch:
    """Samples first … first + batch − 1 of the run."""
    noisy, noises, times, crops = [], [], [], []
    for number in range(first, first + config.batch):
        rng = np.random.default_rng([config.seed, number])
        crop = draw_crop(rng, cases, config.crops)
        t = draw_timestep(rng, config, schedule)
        epsilon = torch.from_numpy(draw_noise(rng, config, schedule, crop, t))
        alpha = float(schedule.alpha_bar[t])
        noisy.append(math.sqrt(alpha) * crop.x0 + math.sqrt(1 - alpha) * epsilon)
        noises.append(epsilon)
        times.append(t)
        crops.append(crop)
    return Batch(torch.stack(noisy), torch.stack(noises), torch.tensor(times), crops)


class Steps(Dataset):
    """The batches of each step of a run, by the step's number, for a DataLoader to draw ahead in its workers."""

    def __init__(self, cases: Sequence[Case], config: PretrainConfig, schedule: Schedule):
        self.cases, self.config, self.schedule = cases, config, schedule

    def __len__(self) -> int:
        return self.config.steps

    def __getitem__(self, step: int) -> list[Batch]:
        per_step = self.config.batch * self.config.accumulate
        firsts = range(step * per_step, (step + 1) * per_step, self.config.batch)
        return [draw_batch(self.cases, self.config, self.schedule, first) for first in firsts]


class Trainer:
    """The state of a run: network, EMA, optimiser and step; saved and restored as a whole."""

    def __init__(self, config: PretrainConfig, cases: Sequence[Case], folder: Path, device: str = "cpu"):
        self.config, self.cases, self.folder = config, cases, Path(folder)
        self.device = torch.device(device)
        self.schedule = cosine_schedule()
        torch.manual_seed(config.seed)
        self.network = self.make_network().to(self.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)
        self.average = AveragedModel(self.network, avg_fn=self._ema)
        self.step = 0
        self.origin: dict[str, str] = {}  # what else than data the weights come from, for the run's facts

    def make_network(self) -> torch.nn.Module:
        """What is trained."""
        return Denoiser(self.config.network)

    def _ema(self, average: torch.Tensor, value: torch.Tensor, count: int | torch.Tensor) -> torch.Tensor:
        """EMA whose memory grows with the run, so that it does not remember the random start."""
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        return average.lerp(value, 1 - decay)

    def learning_rate(self) -> float:
        """Linear warm-up, then a linear fall to `decay_to` at the last step."""
        c = self.config
        fall = 1 - (1 - c.decay_to) * self.step / max(c.steps, 1)
        return c.learning_rate * min(1.0, (self.step + 1) / max(c.warmup, 1)) * fall

    def estimate(self, batch: Batch) -> torch.Tensor:
        """The network's output for a batch, float32, computed in the run's precision."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            return self.network(*self.inputs(batch)).float()

    def inputs(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        """x_t, t, position, anatomy and region of a batch, as `Denoiser` takes them."""
        frequencies = self.config.network.position_frequencies
        codes = [crop.codes(frequencies, self.device) for crop in batch.crops]
        position, anatomy = (torch.stack(parts) for parts in zip(*codes, strict=True))
        region = torch.tensor([crop.region for crop in batch.crops], device=self.device)
        return batch.x_t.to(self.device), batch.t.to(self.device), position, anatomy, region

    def target(self, batch: Batch) -> torch.Tensor:
        """What the network should say: ε (the paper's), or v."""
        if self.config.network.prediction == "epsilon":
            return batch.epsilon.to(self.device)
        x0 = torch.stack([crop.x0 for crop in batch.crops])
        alpha_bar = torch.from_numpy(self.schedule.alpha_bar)[batch.t].float().view(-1, 1, 1, 1, 1)
        return v_target(x0, batch.epsilon, alpha_bar).to(self.device)

    def losses(self, batch: Batch) -> torch.Tensor:
        """The mean error of each sample, (B,)."""
        return (self.estimate(batch) - self.target(batch)).abs().mean(dim=(1, 2, 3, 4))

    def update(self, batches: Sequence[Batch]) -> tuple[float, dict[str, list[float]]]:
        """One optimiser step over the accumulated batches. Returns the mean loss and the losses by band of t."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        total, bands = 0.0, {}
        for batch in batches:
            losses = self.losses(batch)
            (losses.mean() / len(batches)).backward()
            total += losses.mean().item() / len(batches)
            for t, loss in zip(batch.t.tolist(), losses.tolist(), strict=True):
                bands.setdefault(f"t<{next(band for band in T_BANDS if t < band)}", []).append(loss)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
        if torch.isfinite(norm):  # one NaN (seen from bfloat16 kernels, now and then) would end the run for good
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.average.update_parameters(self.network)
        return total, bands

    def save(self, name: str = "last.pt") -> None:
        """Write the whole state to the run's folder; the file is replaced only when it is complete."""
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f"{name}.part"
        state = {
            "network": self.network.state_dict(),
            "average": self.average.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }
        torch.save(state, part)
        part.replace(self.folder / name)

    def restore(self, path: Path) -> None:
        """Continue from a saved state."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.module.load_state_dict(state["average"])
        self.average.n_averaged.fill_(state["step"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]

    def start_from(self, path: Path) -> None:
        """Begin a new run with the averaged weights of a state, or with those of a model folder."""
        if path.is_dir():
            weights = load_file(path / "model.safetensors")
        else:
            weights = torch.load(path, map_location=self.device, weights_only=True)["average"]
        self.network.load_state_dict(weights)
        self.average.module.load_state_dict(weights)


def pretrain(
    trainer: Trainer, log: Callable[[dict], None], stop: Callable[[], bool] = lambda: False, workers: int = 0
) -> None:
    """Train to `config.steps`, saving every `save_every` steps and at the end (also when `stop` says so).

    workers: processes that draw crops ahead; 0 draws them in between. The run is the same with any number.
    """
    config = trainer.config
    steps = Steps(trainer.cases, config, trainer.schedule)
    order = range(trainer.step, config.steps)
    loader = DataLoader(steps, sampler=order, batch_size=None, num_workers=workers)
    began = time.perf_counter()
    for batches in loader:
        if stop():
            break
        loss, bands = trainer.update(batches)
        means = {band: sum(values) / len(values) for band, values in sorted(bands.items())}
        log({"step": trainer.step, "loss": loss, "seconds": time.perf_counter() - began, **means})
        began = time.perf_counter()
        if trainer.step % config.save_every == 0:
            trainer.save()
    trainer.save()


class RunLog:
    """One JSON line a step in `log.jsonl`, and the same in TensorBoard."""

    def __init__(self, folder: Path):
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        self.file = (folder / "log.jsonl").open("a")
        self.board = SummaryWriter(str(folder / "tensorboard"))

    def __call__(self, row: dict) -> None:
        self.file.write(json.dumps(row) + "\n")
        self.file.flush()
        for name, value in row.items():
            if name != "step":
                self.board.add_scalar(name, value, row["step"])
