"""The `config.json` of a model folder, read and checked, and its weights' checksum, without PyTorch.

See `models.folder` for its keys, how it is written, and for the weights.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ..anatomy.classes import BODY, CODE_PLANES
from ..anatomy.regions import REGIONS
from ..errors import InputError

FORMAT = 1
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"


def conditions(anatomy_code: str = "bits") -> dict:
    """The conditions of the networks of this version: planes of anatomy, regions with HU windows."""
    regions = {r.name: {"index": r.index, "window_hu": list(r.window)} for r in REGIONS.values()}
    return {"anatomy_planes": {"bits": CODE_PLANES, "masks": BODY}.get(anatomy_code), "regions": regions}


def read_config(folder: Path) -> dict:
    """The content of a model folder's config.json.

    InputError if it is missing, not a model's, or of a later version's format.
    """
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder} is not a model folder, {missing[0]} is missing: name a complete folder or download again."
        )
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        version, checksum = config["format"], config["weights"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / CONFIG} is damaged or not a MedDiff-FM model's: get the model again.") from error
    if version != FORMAT or not isinstance(checksum, str):
        raise InputError(
            f"{folder} has model format {version}, this version reads {FORMAT}: update meddiff-fm or the model."
        )
    architecture = config.get("architecture")
    code = architecture.get("anatomy_code", "bits") if isinstance(architecture, dict) else "bits"
    if config.get("conditions") != conditions(code):
        raise InputError(
            f"{folder} was trained with other HU windows or conditions than this version's: update meddiff-fm."
        )
    return config


def verify(folder: Path) -> dict:
    """The config, if the weights have the checksum that it states; else InputError."""
    config = read_config(folder)
    if sha256_of(folder / WEIGHTS) != config["weights"]["sha256"]:
        raise InputError(
            f"{folder / WEIGHTS} does not have the checksum that config.json states, so it is damaged or was changed: "
            "get the model again."
        )
    return config


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
