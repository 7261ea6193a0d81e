"""The states of runs as files, written whole or not at all."""

from __future__ import annotations

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
