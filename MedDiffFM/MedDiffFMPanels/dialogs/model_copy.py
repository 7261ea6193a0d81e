"""A model folder into the user's data folder: checked, whole or not at all. Standard library only."""

import hashlib
import json
import os
import shutil
from pathlib import Path

from slicer.i18n import tr as _

BLOCK = 1 << 20  # bytes between the turns of other work


def readRecord(folder):
    """The content of a model folder's config.json. ValueError if it has none that can be used."""
    try:
        record = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
        record["name"], record["weights"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(
            _("{folder} is no model folder: it has no usable config.json.").format(folder=folder)
        ) from None
    return record


def copyModel(source, target):
    """Copy the model folder `source` into the folder `target`, under its own name, which is returned. A generator: it
    yields after each block, so that others get their turn.

    ValueError says why it is no model folder, or that its weights are damaged; OSError if it cannot be written.
    """
    source, target = Path(source), Path(target)
    record = readRecord(source)
    name = record["name"]
    if Path(name).name != name or name.startswith("."):
        raise ValueError(_("The model's name “{name}” is no name for a folder.").format(name=name))
    if (target / name).exists():
        raise ValueError(_("There is a model “{name}” already: remove it first.").format(name=name))
    target.mkdir(parents=True, exist_ok=True)
    part = target / f".{name}.part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        for file in sorted(source.rglob("*")):
            inside = file.relative_to(source)
            if file.is_file() and not any(word.startswith(".") for word in inside.parts):
                yield from _copyFile(file, part / inside)
        if (yield from _sha256(part / "model.safetensors")) != record["weights"]["sha256"]:
            raise ValueError(
                _("The weights in {folder} are damaged: copy them again from where they are from.").format(
                    folder=source
                )
            )
        os.replace(part, target / name)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return name


def _copyFile(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(source, "rb") as old, open(target, "wb") as new:
        while block := old.read(BLOCK):
            new.write(block)
            yield


def _sha256(path):
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
                yield
    except FileNotFoundError:
        raise ValueError(_("{path} is missing.").format(path=path)) from None
    return digest.hexdigest()
