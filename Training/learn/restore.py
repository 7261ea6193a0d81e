"""Training of a restorer (`MedDiffFMLib.networks.restorer`): it finds the noise that was added to clean CT.

Every update sees patches of as many places, tissues and noises as fit (`data.noisy_patches`); they depend on the seed
and the update's number alone, so that a run that was stopped goes on to the bit, however many processes draw them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Dataset

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.restorer_folder import LOW_DOSE, save_restorer
from MedDiffFMLib.networks.restorer import Restorer, RestorerConfig
from MedDiffFMLib.refinement.noise_inputs import INPUTS

from ..data.noisy_patches import PatchSource
from ..data.store import Case
from .checkpoint import read_state, write_state
from .restore_config import RestoreConfig
from .restore_loss import restorer_loss

FIELDS = ("features", "noise", "truth", "emphasis")


class Batches(Dataset):
    """The batches of a run by the number of the update."""

    def __init__(self, config: RestoreConfig, source: PatchSource):
        self.config, self.source = config, source

    def __len__(self) -> int:
        return self.config.steps

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        """The patches of an update, all slices along the first axis, see `noisy_patches.Patch`."""
        seeds = ([self.config.seed, step, place] for place in range(self.config.places))
        patches = [self.source.patch(np.random.default_rng(seed), self.config.patch) for seed in seeds]
        return {name: torch.cat([getattr(patch, name) for patch in patches]) for name in FIELDS}


class RestoreTrainer:
    """A run: the restorer, its average, optimizer and step, saved and restored as a whole."""

    def __init__(self, config: RestoreConfig, folder: Path, device: torch.device):
        self.config, self.folder, self.device = config, folder, device
        torch.manual_seed(config.seed)
        network = Restorer(RestorerConfig(INPUTS, config.channels, config.blocks))
        self.network = network.to(device, memory_format=torch.channels_last)
        settings = {"lr": config.learning_rate, "betas": (0.9, 0.99), "weight_decay": config.weight_decay}
        self.optimizer = torch.optim.AdamW(self.network.parameters(), **settings)
        self.average = AveragedModel(self.network, avg_fn=self._ema)
        self.step = 0

    def _ema(self, average: torch.Tensor, value: torch.Tensor, count: int | torch.Tensor) -> torch.Tensor:
        """EMA whose memory grows with the run, so that it does not remember the random start."""
        return average.lerp(value, 1 - min(self.config.ema, (1 + self.step) / (10 + self.step)))

    def learning_rate(self) -> float:
        """Linear warm-up, then a cosine down to 0."""
        fall = (1 + math.cos(math.pi * min(self.step / self.config.steps, 1.0))) / 2
        return self.config.learning_rate * min(1.0, (self.step + 1) / max(self.config.warmup, 1)) * fall

    def batches(self, source: PatchSource, workers: int) -> Iterator[dict[str, torch.Tensor]]:
        """The batches from this step to the last, drawn ahead by `workers` processes."""
        ahead = {"prefetch_factor": 4, "persistent_workers": True} if workers else {}
        left = range(self.step, self.config.steps)
        return iter(DataLoader(Batches(self.config, source), None, sampler=left, num_workers=workers, **ahead))

    def update(self, batch: dict[str, torch.Tensor]) -> dict[str, float]:
        """One optimizer step. Returns its loss, and what is left of the noise: 1 at the start, 0 at best."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        batch = {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}
        features = batch["features"].contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            found = self.network(features)
        loss = restorer_loss(found.float(), batch["noise"], batch["truth"], batch["emphasis"])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        if torch.isfinite(norm):
            self.optimizer.step()
        self.step += 1
        self.average.update_parameters(self.network)
        left = (found.detach().float() - batch["noise"]).square().mean() / batch["noise"].square().mean()
        return {"loss": loss.item(), "left": left.item()}

    def save(self, name: str = "last.pt") -> None:
        """Write the whole state to the run's folder; the file is replaced only when it is complete."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }
        write_state(state, self.folder / name)

    def restore(self) -> None:
        """Go on from the folder's state. InputError if it is another network's."""
        state = read_state(self.folder / "last.pt")
        self._load(state)
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.n_averaged.fill_(state["step"])
        self.step = state["step"]

    def start_from(self, path: Path) -> None:
        """Begin with the averaged weights of another run's state. InputError if they are another network's."""
        average = read_state(path)["average"]
        self._load({"network": average, "average": average})

    def _load(self, state: dict) -> None:
        try:
            self.network.load_state_dict(state["network"])
            self.average.module.load_state_dict(state["average"])
        except RuntimeError:
            raise InputError(f"{self.folder} or its start is of another network: name another folder.") from None


def export_restorer(state: Path, model: Path) -> Path:
    """Write the averaged restorer of a run's state into a model folder, and return where."""
    config, saved = RestoreConfig.from_json(state.parent / "config.json"), read_state(state)
    restorer = Restorer(RestorerConfig(INPUTS, config.channels, config.blocks))
    restorer.load_state_dict(saved["average"])
    return save_restorer(model, LOW_DOSE, restorer, {"steps": saved["step"], "config": config.to_dict()})


def training_scans(cases: list[Case], config: RestoreConfig) -> list[tuple[Case, float]]:
    """The scans that the settings name, each with its share. InputError if the store lacks one."""
    by_name = {case.facts.name: case for case in cases}
    lacking = [name for name, _ in config.scans if name not in by_name]
    if lacking:
        raise InputError(f"The store has no training volumes {', '.join(lacking)}: take them out of the settings.")
    return [(by_name[name], share) for name, share in config.scans if share > 0]
