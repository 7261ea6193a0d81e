"""A model folder into the user's data folder: checked, whole or not at all. Standard library only."""

import hashlib
import json
import os
import shutil
from pathlib import Path

from slicer.i18n import tr as _


def copyModel(source, target):
    """Copy the model folder `source` into the folder `target`, under its own name, which is returned.

    ValueError says why it is no model folder, or that its weights are damaged; OSError if it cannot be written.
    """
    source, target = Path(source), Path(target)
    config = source / "config.json"
    try:
        record = json.loads(config.read_text(encoding="utf-8"))
        name, checksum = record["name"], record["weights"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(
            _("{folder} is no model folder: it has no usable config.json.").format(folder=source)
        ) from None
    if Path(name).name != name or name.startswith("."):
        raise ValueError(_("The model's name “{name}” is no name for a folder.").format(name=name))
    if sha256(source / "model.safetensors") != checksum:
        raise ValueError(
            _("The weights in {folder} are damaged: copy them again from where they are from.").format(folder=source)
        )
    if (target / name).exists():
        raise ValueError(_("There is a model “{name}” already: remove it first.").format(name=name))
    target.mkdir(parents=True, exist_ok=True)
    part = target / f".{name}.part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        shutil.copytree(source, part, ignore=lambda folder, names: [n for n in names if n.startswith(".")])
        os.replace(part, target / name)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return name


def sha256(path):
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except FileNotFoundError:
        raise ValueError(_("{path} is missing.").format(path=path)) from None
    return digest.hexdigest()
