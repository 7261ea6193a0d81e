"""The settings of a restorer's training."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from MedDiffFMLib.errors import InputError

from ..data.crop_config import require
from ..data.noisy_patches import PatchConfig

PLAN = ("steps", "learning_rate", "warmup", "save_every", "validate_every", "precision")  # may change within a run


@dataclass(frozen=True)
class RestoreConfig:
    """The settings of a run. places: patches of one update, each of another place; scans: the training volumes by
    name, and how often each is drawn; channels and blocks: of the network.
    """

    scans: tuple[tuple[str, float], ...]
    places: int = 8
    patch: PatchConfig = field(default_factory=PatchConfig)
    channels: tuple[int, ...] = (48, 64, 96, 128)
    blocks: int = 1
    steps: int = 20000
    learning_rate: float = 8e-4  # falls to 0 by a cosine
    warmup: int = 500
    ema: float = 0.999
    weight_decay: float = 1e-4
    seed: int = 0
    save_every: int = 100
    validate_every: int = 1000
    precision: str = "float32"

    def __post_init__(self):
        """InputError if no run is possible with these settings."""
        for name in ("places", "blocks", "steps", "save_every", "validate_every"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        for name in ("edge", "centers"):
            require(getattr(self.patch, name) >= 1, name, getattr(self.patch, name), "1 or more")
        multiple = 2 ** len(self.channels)
        require(self.patch.edge % multiple == 0, "edge", self.patch.edge, f"a multiple of {multiple} pixels")
        low, high = self.patch.sigma_hu
        require(0 < low < high, "sigma_hu", self.patch.sigma_hu, "two rising numbers of HU above 0")
        sources = self.patch.sources
        require(len(sources) == 3 and min(sources) >= 0 and sum(sources) > 0, "sources", sources, "three shares")
        for name in ("relative", "discs"):
            require(0 <= getattr(self.patch, name) <= 1, name, getattr(self.patch, name), "a share from 0 to 1")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "more than 0")
        require(0 <= self.ema < 1, "ema", self.ema, "0 (off) or a share below 1")
        require(self.precision in ("float32", "bfloat16"), "precision", self.precision, "float32 or bfloat16")

    @classmethod
    def from_json(cls, path: Path) -> RestoreConfig:
        """InputError if the file cannot be read, or holds an unknown setting or an impossible value."""
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except TypeError:
            raise InputError(f"{path} holds settings that a restorer does not have: start from restore.json.") from None
        except (OSError, ValueError, AttributeError) as error:
            raise InputError(f"{path} cannot be read as settings ({error}): name a file like restore.json.") from None

    @classmethod
    def from_dict(cls, values: dict) -> RestoreConfig:
        """The settings of a JSON object; TypeError if it holds one that is unknown."""
        scans = tuple((name, float(share)) for name, share in dict(values.get("scans", {})).items())
        patch = PatchConfig(**_as_tuples(values.get("patch", {})))
        return cls(**_as_tuples(values) | {"scans": scans, "patch": patch})

    def to_dict(self) -> dict:
        """The settings as a JSON object."""
        return json.loads(json.dumps(dataclasses.asdict(self) | {"scans": dict(self.scans)}))


def _as_tuples(values: dict) -> dict:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
