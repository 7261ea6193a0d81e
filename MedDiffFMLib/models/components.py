"""The components of a model folder beside its network: `controlnets/NAME/` and `refiners/NAME/`, each a `config.json`
and a `model.safetensors`, made for that model's weights.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..atomic import DAY, hidden_name, remove_partial_files
from ..errors import InputError
from .config import CONFIG, WEIGHTS, sha256_of

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Component:
    """A kind of network that a model folder may hold beside its main one.

    folder: the subfolder with a folder for each, by name; word: what messages call it; bound: whether it
    belongs to the main one's weights, or stands by itself.
    """

    folder: str
    word: str
    bound: bool = True

    def names(self, model: Path) -> list[str]:
        """The names of the components of this kind in a model folder, sorted."""
        return sorted(config.parent.name for config in (model / self.folder).glob(f"[!.]*/{CONFIG}"))

    def save(
        self,
        model: Path,
        name: str,
        network: torch.nn.Module,
        facts: dict,
        training: dict | None = None,
        float16: bool = False,
    ) -> Path:
        """Write a component into the model folder that it was trained with, whole or not at all; replaces one of that
        name.

        facts: what it is, for its config.json. training: data, steps and whatever else documents the training.
        InputError if weights are not finite.
        """
        import torch  # the rest of this module needs neither
        from safetensors.torch import save_file

        base = self._base(model)
        target = model / self.folder / name
        target.parent.mkdir(exist_ok=True)
        remove_partial_files(target.parent, older_than=DAY)
        part = hidden_name(target, "")
        part.mkdir()
        try:
            dtype = torch.float16 if float16 else torch.float32
            tensors = {k: v.detach().cpu().to(dtype).contiguous() for k, v in network.state_dict().items()}
            if not all(torch.isfinite(v).all() for v in tensors.values()):
                raise InputError(
                    f"The {self.word} {name} holds values that are not finite: save an earlier checkpoint."
                )
            save_file(tensors, part / WEIGHTS, metadata={"format": "pt"})
            file = {"file": WEIGHTS, "sha256": sha256_of(part / WEIGHTS), "dtype": str(dtype).split(".")[-1]}
            config = {"name": name, **facts, **base, "weights": file, "training": training or {}}
            (part / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            shutil.rmtree(target, ignore_errors=True)
            os.replace(part, target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return target

    def _base(self, model: Path) -> dict:
        """The checksum of the main weights, which a component that is bound to them states; nothing for others."""
        main = json.loads((model / CONFIG).read_text(encoding="utf-8"))["weights"]["sha256"]
        return {"base_sha256": main} if self.bound else {}

    def config(self, model: Path, name: str) -> dict:
        """The content of a component's config.json. InputError if it cannot be read."""
        file = model / self.folder / name / CONFIG
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{file} is damaged or not a {self.word}'s: get the model again.") from error

    def verify(self, model: Path, name: str) -> dict:
        """The config of a component, if its weights have their checksum and belong to the folder's model; else
        InputError.
        """
        place = model / self.folder / name
        if not (place / CONFIG).is_file() or not (place / WEIGHTS).is_file():
            known = ", ".join(self.names(model)) or "none"
            raise InputError(
                f"The model {model.name} has no {self.word} {name!r} (it has {known}): "
                "choose one of them or another model."
            )
        config = self.config(model, name)
        try:
            checksum, base = config["weights"]["sha256"], config["base_sha256"] if self.bound else None
            of_model = json.loads((model / CONFIG).read_text(encoding="utf-8"))["weights"]["sha256"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{place / CONFIG} is damaged or not a {self.word}'s: get the model again.") from error
        if sha256_of(place / WEIGHTS) != checksum:
            raise InputError(
                f"{place / WEIGHTS} does not have the checksum that config.json states, so it is damaged or was "
                "changed: get the model again."
            )
        if self.bound and base != of_model:
            raise InputError(
                f"The {self.word} {name!r} in {model} was trained for other weights than those beside it: "
                f"get model and {self.word}s together."
            )
        return config

    def weights(self, model: Path, name: str) -> Path:
        """The path of a component's weights."""
        return model / self.folder / name / WEIGHTS


CONTROLNETS, REFINERS = Component("controlnets", "ControlNet"), Component("refiners", "refiner")
RESTORERS = Component("restorers", "restorer", bound=False)
COMPONENTS = CONTROLNETS, REFINERS, RESTORERS
