"""The settings of a training run, read from and written to JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.network import SMALL, NetworkConfig

from ..data.crops import CropConfig


@dataclass(frozen=True)
class PretrainConfig:
    """Pre-training. The defaults are the paper's (L1, Adam 1e-4, batch 1 × 4) but for EMA and bfloat16."""

    network: NetworkConfig = field(default_factory=lambda: SMALL)
    crops: CropConfig = field(default_factory=CropConfig)
    steps: int = 100_000
    batch: int = 1
    accumulate: int = 4
    learning_rate: float = 1e-4
    warmup: int = 100
    decay_to: float = 1.0  # the learning rate falls linearly to this share of itself at the last step
    clip_norm: float = 1.0
    ema: float = 0.999
    precision: str = "bfloat16"
    low_noise: float = 0.0  # share of samples with σ̄_t log-uniform in low_sigma; the rest has t uniform (the paper)
    low_sigma: tuple[float, float] = (0.03, 0.5)
    ct_noise: float = 0.0  # share of the scans' own crops within low_sigma whose noise is correlated as CT's is
    distilled_to: int = 0  # steps of the walk that a student is for (see `distill`); 0: none
    seed: int = 0
    save_every: int = 200

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, path: Path) -> PretrainConfig:
        """Read a configuration; InputError if it cannot be read or has an unknown setting."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read as JSON ({error}): name a file of settings.") from None
        unknown = set(values) - {f.name for f in dataclasses.fields(cls)}
        if unknown:
            raise InputError(f"{path} has unknown settings {sorted(unknown)}: correct or remove them.")
        network = NetworkConfig.from_dict(values.pop("network", {}))
        crops = {k: _tuples(v) for k, v in values.pop("crops", {}).items()}
        values = {k: _tuples(v) for k, v in values.items()}
        return cls(network=network, crops=CropConfig(**crops), **values)


def _tuples(value):
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
