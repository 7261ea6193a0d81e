"""The settings of a training run, read from and written to JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import torch

from MedDiffFMLib.diffusion.schedule import T_START
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.networks.unet import SMALL, Denoiser, NetworkConfig

from ..data.crop_config import CropConfig, require

PRECISIONS = ("float32", "bfloat16")  # not float16: its narrow range would need the loss to be scaled
PREDICTIONS = ("epsilon", "v")
PLAN = (
    "steps",
    "learning_rate",
    "warmup",
    "decay_to",
    "precision",
    "channels_last",
    "save_every",
    "validate_every",
    "validate_crops",
    "sample_every",
)


@dataclass(frozen=True)
class PretrainConfig:
    """Pre-training. Every default is the paper's (IV-A) but the size, which is the small network's, and that crops
    leave out organs and position now and then (`CropConfig.keep_organs`, `keep_position`). A switch that is off costs
    nothing and changes nothing. `recipes/base/paper.json` is the paper's own size, and leaves out nothing.
    """

    network: NetworkConfig = field(default_factory=lambda: SMALL)
    crops: CropConfig = field(default_factory=CropConfig)
    steps: int = 100_000  # updates
    batch: int = 1  # samples of one pass, in each process
    accumulate: int = 4  # passes of one update
    learning_rate: float = 1e-4
    warmup: int = 0  # steps in which the learning rate rises
    decay_to: float = 1.0  # the learning rate falls linearly to this share of itself at the last step
    clip_norm: float = 0.0  # largest norm of the gradient; 0: as it is
    ema: float = 0.0  # the weights' average remembers this share of itself at a step; 0: it is the weights themselves
    ema_at_once: bool = False  # from the first step on, for a run that starts from weights; else it is less at first
    min_snr: float = 0.0  # γ of min-SNR-γ weighting; 0: every timestep counts alike
    patch_schedule: tuple[tuple[float, tuple[int, int, int]], ...] = ()  # (share of the steps, patch), then crops.patch
    precision: str = "float32"  # of the network's convolutions; weights, losses and schedule stay float32
    channels_last: bool = False
    compile: bool = False
    low_noise: float = 0.0  # share of samples with σ̄_t log-uniform in low_sigma; the rest has t uniform (the paper)
    low_sigma: tuple[float, float] = (0.03, 0.5)
    ct_noise: float = 0.0  # share of the scans' own crops within low_sigma whose noise is correlated as CT's is
    lesion_weight: float = 5.0  # of a lesion's voxels in the loss of its ControlNet, as they are few; 1: the paper's
    direct_t: int = 300  # the timestep of a ControlNet that restores in one evaluation (crops.target "thick-slices")
    distilled_to: int = 0  # steps of the walk that a student is for (see `distill`); 0: none
    seed: int = 0
    save_every: int = 200
    validate_every: int = 500  # steps; 0: never
    validate_crops: int = 8
    sample_every: int = 2000  # steps between pictures in TensorBoard; 0: none

    def __post_init__(self):
        """InputError if a value cannot be trained with."""
        at_least = {"steps": 1, "batch": 1, "accumulate": 1, "save_every": 1, "validate_crops": 1}
        for name, least in {**at_least, "warmup": 0, "validate_every": 0, "sample_every": 0, "clip_norm": 0}.items():
            require(getattr(self, name) >= least, name, getattr(self, name), f"{least} or more")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "more than 0")
        require(0 <= self.ema < 1, "ema", self.ema, "0 (off) or a share below 1")
        require(self.lesion_weight > 0, "lesion_weight", self.lesion_weight, "more than 0")
        require(self.min_snr >= 0, "min_snr", self.min_snr, "0 (off) or γ, such as 5")
        require(self.precision in PRECISIONS, "precision", self.precision, " or ".join(PRECISIONS))
        require(0 < self.direct_t < T_START, "direct_t", self.direct_t, f"a timestep from 1 to {T_START - 1}")
        prediction = self.network.prediction
        require(prediction in PREDICTIONS, "network.prediction", prediction, " or ".join(PREDICTIONS))
        for name in ("low_noise", "ct_noise", "decay_to"):
            require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "a share from 0 to 1")
        fits = len(self.low_sigma) == 2 and 0 < self.low_sigma[0] <= self.low_sigma[1]
        require(fits, "low_sigma", self.low_sigma, "the least and the most of σ̄, above 0")
        shares = [share for share, _ in self.patch_schedule]
        require(
            all(s > 0 for s in shares) and sum(shares) <= 1, "patch_schedule", shares, "shares that sum to 1 at most"
        )
        divisor = 2 ** (len(self.network.channels) - 1)
        for patch in [*(patch for _, patch in self.patch_schedule), self.crops.patch]:
            fits = len(patch) == 3 and all(n > 0 and n % divisor == 0 for n in patch)
            require(fits, "patch", list(patch), f"three multiples of {divisor}, as the network halves it so often")

    def crops_at(self, step: int) -> CropConfig:
        """The settings of crops at a step: small patches first, if there is a schedule (Wang et al. 2023, Patch
        Diffusion), `crops.patch` after it.
        """
        end = 0.0
        for share, patch in self.patch_schedule:
            end += share
            if step < end * self.steps:
                return replace(self.crops, patch=patch)
        return self.crops

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, path: Path) -> PretrainConfig:
        """Read a configuration; InputError if it cannot be read, or has an unknown setting or an impossible value."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read as JSON ({error}): name a file of settings.") from None
        try:
            values = known_settings(cls, values)
            network = NetworkConfig(**known_settings(NetworkConfig, values.pop("network", {})))
            crops = CropConfig(**known_settings(CropConfig, values.pop("crops", {})))
            with torch.device("meta"):
                Denoiser(network)  # MONAI refuses what cannot be built
            return cls(network=network, crops=crops, **values)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        except (TypeError, ValueError) as error:
            raise InputError(f"{path} has a setting that cannot be used ({error}): correct it.") from None

    def differences(self, other: PretrainConfig) -> list[str]:
        """Settings, but for those of the plan (`PLAN`: how long, how fast, when to save), that are not the same."""
        names = [f.name for f in fields(self) if f.name not in (*PLAN, "batch", "accumulate")]  # see `Trainer.restore`
        return [name for name in names if getattr(self, name) != getattr(other, name)]


def known_settings(cls: type, values: dict) -> dict:
    """`values` with tuples for lists; InputError if one is not a setting of `cls`, or not of its kind."""
    known = {f.name: f.default for f in fields(cls)}
    if not isinstance(values, dict) or (unknown := sorted(set(values) - set(known))):
        what = f"has unknown settings {unknown}" if isinstance(values, dict) else f"holds {values!r}"
        raise InputError(f"{cls.__name__} {what}; correct or remove them (known: {', '.join(known)}).")
    for name, value in values.items():
        kind = type(known[name])
        fits = isinstance(value, {float: (int, float), tuple: (list, tuple)}.get(kind, kind))
        if kind in (int, float, str, bool, tuple) and (not fits or (isinstance(value, bool) and kind is not bool)):
            raise InputError(f"{name} is {value!r} and must be of the kind of {known[name]!r}: correct it.")
    return {name: _tuples(value) for name, value in values.items()}


def _tuples(value: Sequence | object) -> object:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


PLAIN_LEVELS = (0.0, 0.0, 1.0, 0.0)  # the patch level alone


def plain_ddpm() -> PretrainConfig:
    """The settings of a plain DDPM of the small network's size: no levels but the patch's, no position (Table III's
    first row).
    """
    crops = CropConfig(levels=PLAIN_LEVELS, keep_organs=1.0, keep_position=1.0)
    return PretrainConfig(network=replace(SMALL, position="none"), crops=crops)


def is_plain(config: PretrainConfig) -> bool:
    """Whether these settings make a plain DDPM, whatever the size."""
    trained_at = [share > 0 for share in config.crops.levels]
    return config.network.position == "none" and trained_at == [share > 0 for share in PLAIN_LEVELS]
