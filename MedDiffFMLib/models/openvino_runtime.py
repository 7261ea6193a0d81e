"""Networks compiled by OpenVINO for CPUs: PyTorch's outputs to rounding, in less time and no more memory.

A network is converted once per computer (see `representations`) and compiled from there in about a second, for the
shapes of the inputs that come: so OpenVINO needs half of the memory for what lies between layers that it needs for any
shape. Its outputs are compared with PyTorch's on small inputs before a computer uses them for the first time. Nothing
is sent anywhere: telemetry is never imported.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..networks.anatomy_code import MaskConvolution
from .representations import MODEL_FILE, convert, core, is_checked, mark_checked, place_of

EDGE = 16  # voxels or pixels along each axis of the small input that converts and checks
LARGEST_ERROR = {torch.float32: 1e-3, torch.bfloat16: 0.05}  # mean |difference| over mean |output|, on that input
PRECISION_HINTS = {torch.float32: "f32", torch.bfloat16: "bf16"}
SHAPES = 4  # compiled for at once: groups of slices as they lie and turned, and the last, smaller group of each


class CompiledNetwork:
    """A network as OpenVINO evaluates it on the CPU, called with the arguments of its `forward`, all positional.

    It is converted at its first call and compiled at the first call with inputs of a shape. Where that fails, or its
    outputs differ from PyTorch's, PyTorch evaluates the network instead; `problem` then says so in one sentence.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype):
        """network: in evaluation mode, on the CPU, returning one tensor. dtype: what it computes in."""
        self.config = getattr(network, "config", None)
        self.problem: str | None = None
        self._network, self._dtype = network, dtype
        self._place: Path | None = None
        self._compiled: dict[tuple, _Compiled] = {}  # by shapes, the one used last at the end

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """The network's output, float32 on the CPU. Inputs are converted to float32 where they are floating-point."""
        if self.problem is None:
            try:
                self._place = self._place or self._prepare(inputs)
                return self._compiled_for(inputs)(inputs)
            except Exception as error:  # OpenVINO's errors have no class of their own
                self._compiled.clear()
                self.problem = (
                    f"OpenVINO cannot evaluate this network here, PyTorch does, more slowly ({_last_line(error)})"
                )
        return self._network(*inputs)

    def release_memory(self) -> None:
        """Free what the last evaluation left between layers; the next one takes it again."""
        for compiled in self._compiled.values():
            compiled.release_memory()

    def _compiled_for(self, inputs: Sequence[torch.Tensor]) -> _Compiled:
        """The network compiled for the shapes of these inputs; what was compiled for others holds no tensors then."""
        shapes = tuple(tuple(v.shape) for v in inputs)
        if next(reversed(self._compiled), None) == shapes:
            return self._compiled[shapes]
        self.release_memory()
        self._compiled[shapes] = self._compiled.pop(shapes, None) or _Compiled(self._place, self._dtype, shapes)
        if len(self._compiled) > SHAPES:
            del self._compiled[next(iter(self._compiled))]
        return self._compiled[shapes]

    def _prepare(self, inputs: Sequence[torch.Tensor]) -> Path:
        """The folder of the representation, found to compute what PyTorch does. One that is damaged is replaced.
        RuntimeError if the network cannot be converted, or computes something else.
        """
        if any(isinstance(part, MaskConvolution) for part in self._network.modules()):
            raise RuntimeError("what its first layer computes depends on which organs a window holds")
        place = place_of(self._network, inputs)
        if place.exists():
            with suppress(Exception):
                return self._checked(place, inputs)
            shutil.rmtree(place, ignore_errors=True)
        convert(self._network, _small_inputs(inputs, seed=0, edge=EDGE), place)
        return self._checked(place, inputs)

    def _checked(self, place: Path, inputs: Sequence[torch.Tensor]) -> Path:
        """The folder, after its network's outputs were found to be PyTorch's, now or before."""
        os.utime(place)
        if not is_checked(place, self._dtype):
            for seed, edge in ((1, EDGE), (2, 2 * EDGE)):
                self._compare(place, _small_inputs(inputs, seed, edge))
            mark_checked(place, self._dtype)
        return place

    @torch.inference_mode()
    def _compare(self, place: Path, inputs: Sequence[torch.Tensor]) -> None:
        with torch.autocast("cpu", enabled=False):
            expected = self._network(*inputs).float()
        found = _Compiled(place, self._dtype, tuple(tuple(v.shape) for v in inputs))(inputs)
        error = float((found - expected).abs().mean() / expected.abs().mean().clamp(min=1e-6))
        if not error <= LARGEST_ERROR[self._dtype]:
            raise RuntimeError(f"its outputs differ from PyTorch's by {error:.2g} of their size")


class _Compiled:
    """A representation compiled for inputs of certain shapes."""

    def __init__(self, place: Path, dtype: torch.dtype, shapes: tuple[tuple[int, ...], ...]):
        settings = {
            "INFERENCE_PRECISION_HINT": PRECISION_HINTS[dtype],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
        }
        network = core().read_model(place / MODEL_FILE)
        network.reshape({number: list(shape) for number, shape in enumerate(shapes)})
        self._model = core().compile_model(network, "CPU", settings)
        self._request = self._model.create_infer_request()

    def __call__(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        arrays = [np.ascontiguousarray((v.float() if v.is_floating_point() else v).numpy()) for v in inputs]
        return torch.from_numpy(self._request.infer(arrays, share_inputs=True)[0])

    def release_memory(self) -> None:
        self._model.release_memory()


def _small_inputs(inputs: Sequence[torch.Tensor], seed: int, edge: int) -> tuple[torch.Tensor, ...]:
    """Inputs of the same form, `edge` along each axis of an image, with other values: random where images hold them."""
    generator = torch.Generator().manual_seed(seed)
    images = [torch.randn(1, *v.shape[1:2], *(edge,) * (v.ndim - 2), generator=generator) for v in inputs if v.ndim > 2]
    others = iter(images)
    return tuple(next(others) if v.ndim > 2 else v[:1] for v in inputs)


def _last_line(error: Exception) -> str:
    return ([line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__])[-1]
