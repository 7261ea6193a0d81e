"""States of runs as files: written whole or not at all, and in parts where only small files can be carried."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import torch

from MedDiffFMLib.errors import InputError


def write_state(state: dict, path: Path) -> None:
    """Write a state of tensors, numbers and strings; `path` is replaced only when the new file is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_state(path: Path) -> dict:
    """Read a state, never running code from it (`weights_only`), onto the CPU. InputError if it is none."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        state["network"], state["average"], state["optimizer"], state["step"]
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: name the state of a run (last.pt or best.pt).") from None
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} is not the state of a run ({reason}): name last.pt or best.pt of one.") from None
    return state


def split_file(path: Path, folder: Path, most_bytes: int) -> list[Path]:
    """Write `path` as parts NAME.000, NAME.001 … of at most `most_bytes` into `folder`, and NAME.parts.json, by which
    `join_file` makes the very same file again. InputError if there is no such file.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist: name the state of a run (last.pt or best.pt).")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: name a folder for the parts.")
    folder.mkdir(parents=True, exist_ok=True)
    whole, parts = hashlib.sha256(), []
    with path.open("rb") as file:
        while block := file.read(most_bytes):
            whole.update(block)
            parts.append(folder / f"{path.name}.{len(parts):03d}")
            parts[-1].write_bytes(block)
    record = {"name": path.name, "parts": [part.name for part in parts], "sha256": whole.hexdigest()}
    index = folder / f"{path.name}.parts.json"
    index.write_text(json.dumps(record, indent=1))
    return [*parts, index]


def join_file(index: Path, target: Path) -> None:
    """Make the file again whose parts `index` (NAME.parts.json) lists, as `target`.

    InputError if a part is missing or is not what it was; `target` is then left as it is.
    """
    if target.is_dir() or target.parent.is_file():
        raise InputError(f"{target} cannot be written: name a file in a folder.")
    try:
        record = json.loads(index.read_text())
        names, digest = record["parts"], record["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{index} does not list the parts of a file ({error}): name NAME.parts.json.") from None
    whole, part = hashlib.sha256(), target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    with part.open("wb") as file:
        for name in names:
            source = index.parent / Path(name).name
            if not source.is_file():
                part.unlink()
                raise InputError(f"{source} is missing: bring all parts that {index.name} lists.")
            block = source.read_bytes()
            whole.update(block)
            file.write(block)
    if whole.hexdigest() != digest:
        part.unlink()
        raise InputError(f"The parts beside {index} are not those of one file: bring them again.")
    part.replace(target)
