"""The trainer of a run: one optimizer step after the other, with the loss of `loss`; its state saved and restored."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.optim.swa_utils import AveragedModel

from MedDiffFMLib.anatomy.regions import REGIONS
from MedDiffFMLib.diffusion.schedule import cosine_schedule
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.networks.unet import Denoiser

from ..data.store import Case
from .batches import TrainingBatch
from .checkpoint import read_state, write_state
from .config import PretrainConfig
from .loss import diffusion_loss, snr_weights, training_target
from .processes import OneProcess

T_BANDS = (30, 100, 300, 1000)


class Trainer:
    """The state of a run: network, EMA, optimizer and step; saved and restored as a whole.

    `network` is what is trained, `model` the same wrapped for calls (compiled, shared by several processes).
    """

    def __init__(
        self,
        config: PretrainConfig,
        cases: Sequence[Case],
        folder: Path,
        device: str = "cpu",
        processes: OneProcess | None = None,
        validation: Sequence[Case] = (),
    ):
        self.config, self.cases, self.folder, self.validation = config, cases, Path(folder), validation
        self.processes = processes or OneProcess(device)
        self.device = self.processes.device
        self.schedule = cosine_schedule()
        torch.manual_seed(config.seed)
        self.memory_format = torch.channels_last_3d if config.channels_last else torch.contiguous_format
        self.network = self.make_network().to(self.device).to(memory_format=self.memory_format)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)
        self.average = AveragedModel(self.network, avg_fn=self._ema)
        self.model = self.processes.wrap(torch.compile(self.network) if config.compile else self.network)
        self.step = 0
        self.best = math.inf  # the lowest validation loss so far
        self.origin: dict[str, str] = {}  # what else than data the weights come from, for the run's facts

    def make_network(self) -> torch.nn.Module:
        """The network that is trained."""
        return Denoiser(self.config.network)

    def _ema(self, average: torch.Tensor, value: torch.Tensor, count: int | torch.Tensor) -> torch.Tensor:
        """EMA whose memory grows with the run, so that it does not remember the random start; or is whole `at_once`."""
        decay = self.config.ema
        if not self.config.ema_at_once:
            decay = min(decay, (1 + self.step) / (10 + self.step))
        return average.lerp(value, 1 - decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """A context in which `estimate` computes with the averaged weights, and without gradients."""
        model, self.model = self.model, self.average.module
        try:
            with torch.no_grad():
                yield
        finally:
            self.model = model

    def learning_rate(self) -> float:
        """The learning rate at this step: linear warm-up, then a linear fall to `decay_to` at the last step."""
        c = self.config
        fall = 1 - (1 - c.decay_to) * self.step / max(c.steps, 1)
        return c.learning_rate * min(1.0, (self.step + 1) / max(c.warmup, 1)) * fall

    def estimate(self, batch: TrainingBatch) -> torch.Tensor:
        """The network's output for a batch, float32, computed in the run's precision."""
        with self.autocast():
            return self.model(*self.inputs(batch)).float()

    def autocast(self) -> torch.autocast:
        """The run's precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16")

    def inputs(self, batch: TrainingBatch) -> tuple[torch.Tensor, ...]:
        """The network's inputs for a batch: x_t, t, position, anatomy and region, as `Denoiser` takes them."""
        codes = [crop.codes(self.config.network.encoding, self.device) for crop in batch.crops]
        position, anatomy = (torch.stack(parts) for parts in zip(*codes, strict=True))
        region = torch.tensor([crop.region for crop in batch.crops], device=self.device)
        images = (batch.x_t.to(self.device), position, anatomy)
        x_t, position, anatomy = (image.contiguous(memory_format=self.memory_format) for image in images)
        return x_t, batch.t.to(self.device), position, anatomy, region

    def target(self, batch: TrainingBatch) -> torch.Tensor:
        """The output that the network should have for a batch: ε (the paper's), or v."""
        return training_target(batch, self.schedule, self.config.network.prediction).to(self.device)

    def losses(self, batch: TrainingBatch) -> torch.Tensor:
        """The loss of each sample, (B,)."""
        return diffusion_loss(self.estimate, batch, self.target(batch))

    def weights(self, t: torch.Tensor) -> torch.Tensor:
        """The weight of a sample at timestep t, (B,)."""
        return snr_weights(t, self.schedule, self.config.min_snr, self.config.network.prediction).to(self.device)

    def update(self, batches: Sequence[TrainingBatch]) -> dict[str, float]:
        """One optimizer step over the accumulated batches, of all processes. Returns the loss, the losses by band of t
        and by region, the learning rate and the gradient's norm before it was clipped.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        rows = []
        for number, batch in enumerate(batches, 1):
            with nullcontext() if number == len(batches) else self.processes.without_exchange(self.model):
                losses, weights = self.losses(batch), self.weights(batch.t)
                ((losses * weights).mean() / len(batches)).backward()
            region = torch.tensor([crop.region for crop in batch.crops])
            facts = torch.stack([batch.t, region]).to(self.device, torch.float64)
            rows.append(torch.cat([facts, torch.stack([losses, weights]).detach().double()]).T)
        row = summary(self.processes.gather(torch.cat(rows)).cpu())
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm or math.inf)
        if torch.isfinite(norm):  # one NaN (seen from bfloat16 kernels, now and then) would end the run for good
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        row |= {"learning_rate": self.learning_rate(), "gradient_norm": norm.item()}
        self.step += 1
        self.average.update_parameters(self.network)
        return row

    @property
    def samples_per_step(self) -> int:
        """Samples of one update, all processes together."""
        return self.config.batch * self.config.accumulate * self.processes.count

    def save(self, name: str = "last.pt") -> None:
        """Write the whole state to the run's folder; the file is replaced only when it is complete."""
        if not self.processes.main:
            return
        state = {
            "network": self.network.state_dict(),
            "average": self.average.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "best": self.best,
            "samples_per_step": self.samples_per_step,
        }
        write_state(state, self.folder / name)

    def restore(self, path: Path) -> None:
        """Continue from a saved state.

        InputError if it is none, is another network's, or a step had another number of samples: all are numbered.
        """
        state = read_state(path)
        had = state.get("samples_per_step", self.samples_per_step)
        if had != self.samples_per_step:
            raise InputError(
                f"{path} was trained with {had} samples a step and would go on with {self.samples_per_step}: "
                "keep processes × batch × accumulate, or begin another run."
            )
        self._load(path, state["network"], state["average"])
        self.average.n_averaged.fill_(state["step"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.best = state["step"], state.get("best", math.inf)

    def start_from(self, path: Path) -> None:
        """Begin a new run with the averaged weights of a state, or with those of a model folder. InputError if they
        cannot be read or are another network's.
        """
        try:
            weights = load_file(path / "model.safetensors") if path.is_dir() else read_state(path)["average"]
        except (OSError, SafetensorError) as error:
            raise InputError(f"{path} is not a model folder ({error}): name one, or a run's last.pt.") from None
        self._load(path, weights, weights)
        if self.config.ema_at_once:
            self.average.n_averaged.fill_(1)  # else the first step's weights would take the average's place

    def _load(self, path: Path, network: dict, average: dict) -> None:
        try:
            self.network.load_state_dict(network)
            self.average.module.load_state_dict(average)
        except RuntimeError:
            raise InputError(
                f"{path} holds another network than the settings say: give those it was trained with."
            ) from None


def summary(samples: torch.Tensor) -> dict[str, float]:
    """The log row of a step, from rows of (t, region, loss, weight): the loss that was lowered, and means of the
    unweighted losses by band of t and by region.
    """
    groups: dict[str, list[float]] = {}
    names = {region.index: name for name, region in REGIONS.items()}
    for t, region, loss, _ in samples.tolist():
        groups.setdefault(f"loss/t<{next(band for band in T_BANDS if t < band)}", []).append(loss)
        groups.setdefault(f"loss/{names[int(region)]}", []).append(loss)
    means = {name: sum(values) / len(values) for name, values in sorted(groups.items())}
    return {"loss": (samples[:, 2] * samples[:, 3]).mean().item()} | means
