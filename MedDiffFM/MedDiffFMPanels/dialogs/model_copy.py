"""Copying a model folder into the user's data folder, checked, whole or not at all. Standard library only."""

import hashlib
import json
import os
import shutil
from pathlib import Path

from slicer.i18n import tr as _

BLOCK = 1 << 20  # bytes copied between two yields


def readRecord(folder):
    """The content of a model folder's config.json. ValueError if there is no usable one."""
    try:
        record = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
        record["name"], record["weights"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(
            _("{folder} is not a model folder: it has no usable config.json. Choose a folder with one.").format(
                folder=folder
            )
        ) from None
    return record


def copyModel(source, target):
    """Copy the model folder `source` into the folder `target`, under the model's name.

    A generator that yields after each block; its return value is the name. ValueError if `source` is not a model
    folder, its weights are damaged, or a model of that name exists; OSError if it cannot be written.
    """
    source, target = Path(source), Path(target)
    record = readRecord(source)
    name = record["name"]
    if Path(name).name != name or name.startswith("."):
        raise ValueError(
            _("The model's name “{name}” cannot be a folder's name. Change it in its config.json.").format(name=name)
        )
    if (target / name).exists():
        raise ValueError(_("There is already a model “{name}”. Remove it first.").format(name=name))
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
                _("The weights in {folder} are damaged. Copy the folder again from its source.").format(folder=source)
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
        raise ValueError(_("{path} is missing. Copy the whole model folder again.").format(path=path)) from None
    return digest.hexdigest()
