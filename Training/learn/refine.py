"""Training of a refiner (`MedDiffFMLib.networks.refiner`):

    E ‖x̂_0 − x_0‖² / s²,  x̂_0 = b + s·f(c) as the task computes it.

The pairs are drawn once and kept, since the foundation model's estimate costs far more than a refiner's step; cut,
mirrored and transposed at random they last long. The output of f varies between updates: the average of its weights is
exported.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.config import read_config
from MedDiffFMLib.models.loading import Model
from MedDiffFMLib.models.refiner_folder import save_refiner
from MedDiffFMLib.networks.refiner import Refiner
from MedDiffFMLib.refinement.low_dose import LOW_DOSE, LowDoseInputs
from MedDiffFMLib.refinement.thick_slices import SCALE, THICK_SLICES, ThickSliceInputs

from ..data.crop_config import require
from ..data.pairs import RefinerPair, crop_and_flip, draw_noisy, draw_thick
from ..data.store import Case
from .checkpoint import read_state, write_state
from .export import FACTS

KINDS = {config.kind: config for config in (LOW_DOSE, THICK_SLICES)}


@dataclass(frozen=True)
class RefineConfig:
    """Settings of a run. size: voxels (z, y, x) of a pair; cut: slices and pixels (y, x) of a step's part of one.
    case_weights, turned, factors: as of `CropConfig`, the last two for thick slices alone.
    """

    kind: str
    pairs: int = 200
    size: tuple[int, int, int] = (24, 144, 144)
    cut: tuple[int, int] = (96, 96)
    steps: int = 6000
    learning_rate: float = 1.5e-3  # falls to a fiftieth by a cosine
    warmup: int = 300  # with 60 a run of that rate collapsed
    ema: float = 0.998
    case_weights: tuple[tuple[str, float], ...] = ()
    turned: tuple[tuple[str, float], ...] = ()
    factors: tuple[int, ...] = (5,)
    seed: int = 0
    save_every: int = 200

    def __post_init__(self):
        require(self.kind in KINDS, "kind", self.kind, " or ".join(KINDS))
        for name in ("pairs", "steps", "save_every"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        require(
            (len(self.size), len(self.cut)) == (3, 2), "size and cut", (self.size, self.cut), "(z, y, x) and (y, x)"
        )
        require(min(*self.size, *self.cut) >= 4, "size and cut", (self.size, self.cut), "4 voxels or more")
        require(min(self.factors) >= 2, "factors", self.factors, "2 or more")
        if self.kind == THICK_SLICES.kind:  # the first and the last thick slice do not count
            require(self.size[0] >= 3 * max(self.factors), "size", self.size, "three thick slices or more along z")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "more than 0")
        require(0 <= self.ema < 1, "ema", self.ema, "0 (off) or a share below 1")

    @classmethod
    def from_json(cls, path: Path) -> RefineConfig:
        """InputError if the file cannot be read, or holds an unknown setting or an impossible value."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
            fixed = {k: tuple(map(_fixed, v)) if isinstance(v, list) else v for k, v in values.items()}
        except (OSError, ValueError, AttributeError) as error:
            raise InputError(f"{path} cannot be read as JSON ({error}): name a file of settings.") from None
        unknown = set(fixed) - {field.name for field in dataclasses.fields(cls)}
        if unknown or "kind" not in fixed:
            raise InputError(f"{path} must hold a kind, and has no use for {sorted(unknown)}: correct it.")
        return cls(**fixed)


def _fixed(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def make_pairs(
    config: RefineConfig, cases: Sequence[Case], model: Model, folder: Path, log: Callable[[str], None] = print
) -> list[Path]:
    """Write the pairs of a run and return their files; existing files stay as they are. Each depends on the seed and
    its number alone. InputError if no case can be drawn from.
    """
    cases = [case for case in cases if case.coverage is None]  # what continues a blank is no truth
    if config.kind == LOW_DOSE.kind:
        cases = [case for case in cases if case.noise is not None]
    shares = np.array([dict(config.case_weights).get(case.facts.name, 1.0) for case in cases])
    if not shares.sum() > 0:
        raise InputError("The store has no case to draw from: give one more weight, or run train simulate-noise first.")
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number:05d}.npz" for number in range(config.pairs)]
    started, written = time.monotonic(), 0
    for number, file in enumerate(files):
        if file.exists():
            continue
        rng = np.random.default_rng([config.seed, number])
        case = cases[rng.choice(len(cases), p=shares / shares.sum())]
        if config.kind == LOW_DOSE.kind:
            pair = draw_noisy(rng, case, model, config.size)
        else:
            axis_swap = dict(config.turned).get(case.facts.name, 0.0)
            pair = draw_thick(rng, case, model, config.size, config.factors, axis_swap)
        _write_pair(pair, file)
        written += 1
        if written % 20 == 0:
            left = (time.monotonic() - started) / written * (config.pairs - number - 1)
            log(f"pair {number + 1}/{config.pairs}, {left / 60:.0f} min left")
    return files


def _write_pair(pair: RefinerPair, file: Path) -> None:
    part = file.with_name(f".{file.name}.part")
    arrays = dataclasses.asdict(pair.inputs) | {"truth": pair.truth, "mask": pair.mask, "weight": pair.weight}
    with part.open("wb") as stream:
        np.savez(stream, **{name: _half(value) for name, value in arrays.items()})
    os.replace(part, file)


def _half(value: object) -> object:
    """A float tensor as a float16 array; anything else as it is."""
    is_float = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.numpy().astype(np.float16) if is_float else value


def read_pair(file: Path, kind: str) -> RefinerPair:
    """A pair as it was written, its images float16."""
    with np.load(file, allow_pickle=False) as arrays:
        values = {name: torch.from_numpy(arrays[name]) if arrays[name].ndim else arrays[name].item() for name in arrays}
    truth, mask, weight = (values.pop(name) for name in ("truth", "mask", "weight"))
    return RefinerPair(
        LowDoseInputs(**values) if kind == LOW_DOSE.kind else ThickSliceInputs(**values), truth, mask, weight
    )


class RefineTrainer:
    """A run: the refiner, its average, optimizer and step, saved and restored as a whole."""

    def __init__(self, config: RefineConfig, pairs: Sequence[RefinerPair], folder: Path, device: torch.device):
        self.config, self.pairs, self.folder, self.device = config, pairs, folder, device
        torch.manual_seed(config.seed)
        self.network = Refiner(KINDS[config.kind]).to(device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), config.learning_rate, weight_decay=1e-3)
        self.average = AveragedModel(self.network, avg_fn=self._ema)
        self.shares = np.array([pair.weight for pair in pairs])
        self.step = 0

    def _ema(self, average: torch.Tensor, value: torch.Tensor, count: int | torch.Tensor) -> torch.Tensor:
        """EMA whose memory grows with the run, so that it does not remember the random start."""
        return average.lerp(value, 1 - min(self.config.ema, (1 + self.step) / (10 + self.step)))

    def learning_rate(self) -> float:
        """Linear warm-up, then a cosine down to a fiftieth."""
        fall = (1 + math.cos(math.pi * self.step / self.config.steps)) / 2
        return self.config.learning_rate * min(1.0, (self.step + 1) / max(self.config.warmup, 1)) * (0.02 + 0.98 * fall)

    def draw(self) -> RefinerPair:
        """The part of a pair that this step sees."""
        rng = np.random.default_rng([self.config.seed, 1, self.step])
        pair = self.pairs[rng.choice(len(self.pairs), p=self.shares / self.shares.sum())]
        have = pair.mask.shape[1:]
        starts = [int(rng.integers(max(n - m, 0) + 1)) for n, m in zip(have, self.config.cut, strict=True)]
        return crop_and_flip(pair, rng, tuple(slice(s, s + m) for s, m in zip(starts, self.config.cut, strict=True)))

    def update(self) -> dict[str, float]:
        """One optimizer step. Returns its loss, and that of the estimate before refinement."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        pair = self.draw()
        inputs, truth, mask = pair.inputs.to(self.device), pair.truth.to(self.device), pair.mask.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16):
            x0 = inputs.apply_refiner(self.network)
        scale = inputs.sigma_n if isinstance(inputs, LowDoseInputs) else SCALE

        def error(x: torch.Tensor) -> torch.Tensor:
            return ((((x.clamp(-1, 1) - truth) / scale) ** 2) * mask).sum() / mask.sum().clamp(min=1)

        loss = error(x0)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        if torch.isfinite(norm):
            self.optimizer.step()
        self.step += 1
        self.average.update_parameters(self.network)
        return {"loss": loss.item(), "before": error(inputs.base).item()}

    def save(self) -> None:
        """Write the whole state to the run's folder; the file is replaced only when it is complete."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }
        write_state(state, self.folder / "last.pt")

    def restore(self) -> None:
        """Go on from the folder's state. InputError if it is another network's."""
        state = read_state(self.folder / "last.pt")
        try:
            self.network.load_state_dict(state["network"])
            self.average.module.load_state_dict(state["average"])
        except RuntimeError:
            raise InputError(f"{self.folder} holds the run of another refiner: name another folder.") from None
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.n_averaged.fill_(state["step"])
        self.step = state["step"]


def check_base(folder: Path, model: Path) -> None:
    """InputError if a run's pairs were made with other weights than those of a model folder."""
    file, sha256 = folder / FACTS, read_config(model)["weights"]["sha256"]
    if file.is_file() and json.loads(file.read_text(encoding="utf-8"))["base_sha256"] != sha256:
        raise InputError(f"The run {folder} belongs to other weights than those in {model}: name its own model.")


def export_refiner(folder: Path, model: Path) -> Path:
    """Write the averaged refiner of a run into its model's folder in float16, and return where.

    InputError if it was trained with other weights than the folder's.
    """
    check_base(folder, model)
    config, state = RefineConfig.from_json(folder / "config.json"), read_state(folder / "last.pt")
    refiner = Refiner(KINDS[config.kind])
    refiner.load_state_dict(state["average"])
    training = {"steps": state["step"], "config": dataclasses.asdict(config)}
    return save_refiner(model, refiner, training, float16=True)
