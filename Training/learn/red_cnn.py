"""RED-CNN, a baseline of low-dose denoising (Chen et al. 2017, IEEE TMI 36:2524): a plain network trained on pairs.

    E ‖R(y) − x‖²,   R: five convolutions and five transposed ones of 5 × 5, with shortcuts between them

Slices are denoised one by one. It is trained on the noise that `train simulate-noise` made, at the doses that the
refiner is trained on, so that both have seen the same.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch.nn.functional import mse_loss

from MedDiffFMLib.errors import InputError

from ..data.crop_config import require
from ..data.pairs import draw_low_dose
from ..data.store import Case
from .checkpoint import read_state, write_state
from .config import known_settings
from .log import replace_file

KERNEL, DEPTH = 5, 5  # the paper's
SMALLEST = DEPTH * (KERNEL - 1) + 1  # pixels that five convolutions without padding leave one of
HU_SCALE = (-1000.0, 2000.0)  # what the network sees as 0 and 1; its last ReLU makes nothing less
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class RedCnnConfig:
    """Settings of a run, the paper's but for the length. crop: voxels (z, y, x) of a draw, whose slices are the
    samples; batch: draws of an update.
    """

    filters: int = 96
    crop: tuple[int, int, int] = (4, 64, 64)
    batch: int = 4
    steps: int = 20_000
    learning_rate: float = 1e-4  # falls to a tenth, linearly
    seed: int = 0
    save_every: int = 500

    def __post_init__(self):
        for name in ("filters", "batch", "steps", "save_every"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        fits = len(self.crop) == 3 and self.crop[0] >= 1 and min(self.crop[1:]) >= SMALLEST
        require(fits, "crop", self.crop, f"(z, y, x), {SMALLEST} pixels or more in plane")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "more than 0")

    @classmethod
    def from_json(cls, path: Path) -> RedCnnConfig:
        """InputError if the file cannot be read, or holds an unknown setting or an impossible value."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read as JSON ({error}): name a file of settings.") from None
        return cls(**known_settings(cls, values))


class RedCnn(torch.nn.Module):
    """The network R: noisy images (B, 1, Y, X) in [0, 1] to the same without noise."""

    def __init__(self, filters: int = 96):
        super().__init__()
        widths = [1, *[filters] * DEPTH]
        self.down = torch.nn.ModuleList(torch.nn.Conv2d(widths[i], filters, KERNEL) for i in range(DEPTH))
        self.up = torch.nn.ModuleList(
            torch.nn.ConvTranspose2d(filters, widths[i], KERNEL) for i in reversed(range(DEPTH))
        )

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """The shortcuts lead from the input and from every second convolution to the transposed one of its size."""
        shortcuts, x = [], y
        for i, convolve in enumerate(self.down):
            if i % 2 == 0:
                shortcuts.append(x)
            x = convolve(x).relu()
        for i, convolve in enumerate(self.up):
            x = convolve(x)
            x = (x + shortcuts.pop() if i % 2 == 0 else x).relu()
        return x


@torch.inference_mode()
def denoise_slices(network: RedCnn, hu: np.ndarray) -> np.ndarray:
    """The denoised slices in HU, float32. hu: (Z, Y, X), axial slices first, at least SMALLEST pixels in plane."""
    device = next(network.parameters()).device
    slices = torch.from_numpy(as_float(hu))[:, None].to(device)
    return torch.cat([to_hu(network(to_unit(one[None]))) for one in slices])[:, 0].cpu().numpy()


def as_float(hu: np.ndarray) -> np.ndarray:
    """The HU as float32."""
    return np.ascontiguousarray(hu, dtype=np.float32)


def to_unit(hu: torch.Tensor) -> torch.Tensor:
    """HU as the network takes them; not clipped, so that metal keeps its value."""
    low, high = HU_SCALE
    return (hu - low) / (high - low)


def to_hu(x: torch.Tensor) -> torch.Tensor:
    """The inverse of `to_unit`."""
    low, high = HU_SCALE
    return x * (high - low) + low


class RedCnnTrainer:
    """A run: network, optimizer and step, saved and restored as a whole. Sample n depends on the seed and n alone."""

    def __init__(self, config: RedCnnConfig, cases: Sequence[Case], folder: Path, device: torch.device | str = "cpu"):
        self.config, self.folder, self.device = config, Path(folder), torch.device(device)
        self.cases = [case for case in cases if case.noise is not None and case.coverage is None]
        if not self.cases:
            raise InputError("The store has no simulated noise to learn from: run train simulate-noise first.")
        torch.manual_seed(config.seed)
        self.network = RedCnn(config.filters).to(self.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), config.learning_rate)
        self.step = 0

    def draw(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Low and full dose of a draw, (slices, 1, Y, X), as the network takes them."""
        rng = np.random.default_rng([self.config.seed, number])
        crop = draw_low_dose(rng, self.cases[rng.integers(len(self.cases))], self.config.crop)
        return tuple(to_unit(torch.from_numpy(as_float(hu)))[:, None].to(self.device) for hu in (crop.low, crop.full))

    def update(self) -> float:
        """One optimizer step; returns its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * (1 - 0.9 * self.step / self.config.steps)
        first = self.step * self.config.batch
        draws = [self.draw(number) for number in range(first, first + self.config.batch)]
        loss = torch.stack([mse_loss(self.network(low), full) for low, full in draws]).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.step += 1
        return loss.item()

    def save(self) -> None:
        """Write the whole state, and the weights as `load_red_cnn` reads them."""
        weights = self.network.state_dict()
        state = {"network": weights, "average": weights, "optimizer": self.optimizer.state_dict(), "step": self.step}
        write_state(state, self.folder / "last.pt")
        replace_file(self.folder / WEIGHTS, save({name: value.contiguous() for name, value in weights.items()}))

    def restore(self) -> None:
        """Go on from the folder's state. InputError if it is another network's."""
        state = read_state(self.folder / "last.pt")
        try:
            self.network.load_state_dict(state["network"])
        except RuntimeError:
            raise InputError(f"{self.folder} holds the run of another network: name another folder.") from None
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def start_run(config: RedCnnConfig, folder: Path) -> None:
    """Make the run's folder with its settings. InputError if it belongs to a run with others, but for its length."""
    file, record = folder / "config.json", dataclasses.asdict(config)
    if file.is_file():
        before = dataclasses.asdict(RedCnnConfig.from_json(file))
        other = [name for name in record if name not in ("steps", "save_every") and record[name] != before[name]]
        if other:
            raise InputError(
                f"{folder} belongs to a run with other settings ({', '.join(other)}): name another folder."
            )
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(file, json.dumps(record, indent=1).encode())


def load_red_cnn(folder: Path, device: torch.device | str = "cpu") -> RedCnn:
    """The network of a run, ready to denoise. InputError if the folder holds none."""
    folder = Path(folder)
    try:
        if not (folder / "config.json").is_file():
            raise OSError("no config.json")
        config = RedCnnConfig.from_json(folder / "config.json")
        network = RedCnn(config.filters)
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(
            f"{folder} holds no RED-CNN ({error}): name the folder of a `train baseline red-cnn` run."
        ) from None
    return network.eval().requires_grad_(False).to(device)
