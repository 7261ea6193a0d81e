"""Networks compiled by OpenVINO for CPUs: PyTorch's outputs to rounding, in less time.

A network is converted once per computer: the intermediate representation lies in the data folder under a key of its
weights and of the versions that made it, and is compiled from there in about a second. Every compiled network is
compared with PyTorch's on a small input before it is used. Nothing is sent anywhere: telemetry is never imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..atomic import DAY, hidden_name, remove_partial_files
from ..networks.anatomy_code import MaskConvolution
from .store import data_folder

FOLDER, MODEL_FILE = "compiled", "network.xml"  # in the data folder, with the weights in network.bin beside it
FORMAT = 1  # of the folder's entries: count up when the same network would be converted in another way
KEPT = 40  # entries, of some 30 MB each at most; the ones not used for longest are removed
EDGE = 16  # voxels or pixels along each axis of the small input that converts and checks
LARGEST_ERROR = {torch.float32: 1e-3, torch.bfloat16: 0.05}  # mean |difference| over mean |output|, on that input
PRECISION_HINTS = {torch.float32: "f32", torch.bfloat16: "bf16"}


def is_installed() -> bool:
    """Whether OpenVINO can be imported here."""
    return importlib.util.find_spec("openvino") is not None


class CompiledNetwork:
    """A network as OpenVINO evaluates it on the CPU, called with the arguments of its `forward`, all positional.

    It is converted and compiled at its first call. Where that fails, or its outputs differ from PyTorch's, PyTorch
    evaluates the network instead; `problem` then says so in one sentence.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype):
        """network: in evaluation mode, on the CPU, returning one tensor. dtype: what it computes in."""
        self.config = getattr(network, "config", None)
        self.problem: str | None = None
        self._network, self._dtype, self._request = network, dtype, None

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """The network's output, float32 on the CPU. Inputs are converted to float32 where they are floating-point."""
        if self._request is None and self.problem is None:
            try:
                self._request = self._prepare(inputs)
            except Exception as error:  # OpenVINO's errors have no class of their own
                self.problem = (
                    f"OpenVINO cannot evaluate this network here, PyTorch does, more slowly ({_last_line(error)})"
                )
        if self._request is None:
            return self._network(*inputs)
        return _infer(self._request, inputs)

    def _prepare(self, inputs: Sequence[torch.Tensor]):
        """The request that infers. A representation on the disk that is damaged is replaced. RuntimeError if the
        network cannot be converted, or computes something else than PyTorch's.
        """
        if any(isinstance(part, MaskConvolution) for part in self._network.modules()):
            raise RuntimeError("what its first layer computes depends on which organs a window holds")
        place = data_folder() / FOLDER / _key(self._network, inputs)
        if place.exists():
            with suppress(Exception):
                return self._compile(place, inputs)
            shutil.rmtree(place, ignore_errors=True)
        _convert(self._network, inputs, place)
        return self._compile(place, inputs)

    def _compile(self, place: Path, inputs: Sequence[torch.Tensor]):
        """The request of a representation on the disk, after its outputs were found to be PyTorch's."""
        openvino = _import_openvino()
        os.utime(place)
        settings = {
            "INFERENCE_PRECISION_HINT": PRECISION_HINTS[self._dtype],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
        }
        compiled = openvino.Core().compile_model(place / MODEL_FILE, "CPU", settings)
        request = compiled.create_infer_request()
        for seed, edge in ((1, EDGE), (2, 2 * EDGE)):
            self._compare(request, _small_inputs(inputs, seed, edge))
        return request

    @torch.inference_mode()
    def _compare(self, request, inputs: Sequence[torch.Tensor]) -> None:
        with torch.autocast("cpu", enabled=False):
            expected = self._network(*inputs).float()
        error = float((_infer(request, inputs) - expected).abs().mean() / expected.abs().mean().clamp(min=1e-6))
        if not error <= LARGEST_ERROR[self._dtype]:
            raise RuntimeError(f"its outputs differ from PyTorch's by {error:.2g} of their size")


def _infer(request, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    arrays = [np.ascontiguousarray((v.float() if v.is_floating_point() else v).numpy()) for v in inputs]
    return torch.from_numpy(request.infer(arrays, share_inputs=True)[0])


def _convert(network: nn.Module, inputs: Sequence[torch.Tensor], place: Path) -> None:
    """Write the network's intermediate representation to the folder `place`, whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    remove_partial_files(place.parent, older_than=DAY)
    part = hidden_name(place, "")
    part.mkdir()
    try:
        openvino = _import_openvino()
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            converted = openvino.convert_model(network, example_input=_small_inputs(inputs, seed=0, edge=EDGE))
        openvino.save_model(converted, part / MODEL_FILE, compress_to_fp16=False)
        with suppress(OSError):  # another process was faster
            os.replace(part, place)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    _remove_unused(place.parent)


def _key(network: nn.Module, inputs: Sequence[torch.Tensor]) -> str:
    """A name that no other network, form of inputs or version shares."""
    content = hashlib.sha256(f"{FORMAT} {version('openvino')} {torch.__version__} {network}".encode())
    content.update(" ".join(f"{v.ndim} {v.shape[1:2]} {v.is_floating_point()}" for v in inputs).encode())
    for name, value in network.state_dict().items():
        content.update(name.encode())
        content.update(value.contiguous().numpy().tobytes())
    return content.hexdigest()


def _small_inputs(inputs: Sequence[torch.Tensor], seed: int, edge: int) -> tuple[torch.Tensor, ...]:
    """Inputs of the same form, `edge` along each axis of an image, with other values: random where images hold them."""
    generator = torch.Generator().manual_seed(seed)
    images = [torch.randn(1, *v.shape[1:2], *(edge,) * (v.ndim - 2), generator=generator) for v in inputs if v.ndim > 2]
    others = iter(images)
    return tuple(next(others) if v.ndim > 2 else v[:1] for v in inputs)


def _remove_unused(folder: Path) -> None:
    """Remove all but the newest entries."""
    entries = sorted(folder.glob("[!.]*"), key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in entries[KEPT:]:
        shutil.rmtree(entry, ignore_errors=True)


def _import_openvino():
    """OpenVINO without its telemetry, which would report the import: with `None` in its place a stub is taken."""
    sys.modules.setdefault("openvino_telemetry", None)
    import openvino

    return openvino


def _last_line(error: Exception) -> str:
    return ([line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__])[-1]
