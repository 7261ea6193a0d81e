"""Networks converted for OpenVINO: one folder each in the data folder, made once, the least used removed.

A folder's name is a key of all that made it: weights, form of the inputs, versions. Beside the representation lie marks
of the computers on which its outputs were found to be PyTorch's.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from ..atomic import DAY, hidden_name, remove_partial_files
from .config import sha256_of
from .hardware import processor
from .store import data_folder

FOLDER, MODEL_FILE, WEIGHTS_FILE = "compiled", "network.xml", "network.bin"
FORMAT = 1  # of the folder's entries: count up when the same network would be converted in another way
KEPT = 40  # entries, of some 30 MB each at most; the ones not used for longest are removed


def place_of(network: nn.Module, inputs: Sequence[torch.Tensor]) -> Path:
    """The folder of a network's representation, whether it exists or not; no other network, form of inputs or version
    shares it.
    """
    content = hashlib.sha256(f"{FORMAT} {version('openvino')} {torch.__version__} {network}".encode())
    content.update(" ".join(f"{v.ndim} {v.shape[1:2]} {v.is_floating_point()}" for v in inputs).encode())
    for name, value in network.state_dict().items():
        content.update(name.encode())
        content.update(value.contiguous().numpy().reshape(-1))
    return data_folder() / FOLDER / content.hexdigest()


def convert(network: nn.Module, inputs: Sequence[torch.Tensor], place: Path) -> None:
    """Write the network's representation to the folder `place`, whole or not at all. inputs: an example, small."""
    place.parent.mkdir(parents=True, exist_ok=True)
    remove_partial_files(place.parent, older_than=DAY)
    part = hidden_name(place, "")
    part.mkdir()
    try:
        openvino = import_openvino()
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            converted = openvino.convert_model(network, example_input=tuple(inputs))
        openvino.save_model(converted, part / MODEL_FILE, compress_to_fp16=False)
        with suppress(OSError):  # another process was faster
            os.replace(part, place)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    _remove_unused(place.parent)


def is_checked(place: Path, dtype: torch.dtype) -> bool:
    """Whether these very files were found to compute what PyTorch does, on this computer in this precision."""
    with suppress(OSError):
        return _mark(place, dtype).read_text() == _content(place)
    return False


def mark_checked(place: Path, dtype: torch.dtype) -> None:
    """Note that these files were found to compute what PyTorch does here; where that cannot be noted, the next process
    checks again.
    """
    with suppress(OSError):
        _mark(place, dtype).write_text(_content(place))


def import_openvino():
    """OpenVINO without its telemetry, which would report the import: with `None` in its place a stub is taken."""
    sys.modules.setdefault("openvino_telemetry", None)
    import openvino

    return openvino


@functools.cache
def core():
    """OpenVINO's only `Core` in this process. Each has a plugin of its own, which puts signals of its thread on a stack
    of its own; where several end in the order of their beginning, a stack is left that was freed, and the next signal
    ends the process (openvino 2026.4).
    """
    return import_openvino().Core()


def _mark(place: Path, dtype: torch.dtype) -> Path:
    where = f"{processor()} {torch.get_num_threads()} {dtype}"
    return place / f"checked-{hashlib.sha256(where.encode()).hexdigest()[:16]}"


def _content(place: Path) -> str:
    return f"{sha256_of(place / MODEL_FILE)} {sha256_of(place / WEIGHTS_FILE)}"


def _remove_unused(folder: Path) -> None:
    """Remove all but the newest entries."""
    entries = sorted(folder.glob("[!.]*"), key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in entries[KEPT:]:
        shutil.rmtree(entry, ignore_errors=True)
