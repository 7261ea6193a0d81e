"""The faster precision of a network on this computer: one window timed in float32 and in bfloat16, once.

What was measured is kept in the data folder, by computer, number of threads, runtime, weights and versions, so that a
new version of a library is measured again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from time import perf_counter, process_time

import torch

from ..atomic import whole_file
from ..errors import InputError
from ..networks.unet import Denoiser
from .device import has_native_bfloat16
from .hardware import device_name, versions
from .openvino_runtime import LARGEST_ERROR, CompiledNetwork
from .store import data_folder

FILE = "precision.json"  # in the data folder: what was measured, by a key; without it all is measured again
KEPT = 100  # entries of the file, the newest
EDGE = 64  # of the window at most, the small model's own: in a smaller one the other precision may be faster
ROUNDS = 3  # of both precisions by turns; the first one, which converts and compiles, does not count
GAIN = 0.9  # bfloat16 must take less than this of float32's time, or the difference may be chance
CLEAR = 1.5  # where one takes as many times longer than the other, no further round is needed
DTYPES = (torch.float32, torch.bfloat16)


@dataclass(frozen=True)
class Timing:
    """What was measured: seconds of a window of edge³ in each precision, None where it cannot be computed, and
    bfloat16's mean difference from float32 over the mean output.
    """

    edge: int
    float32: float
    bfloat16: float | None
    error: float | None

    @property
    def dtype(self) -> torch.dtype:
        """The faster precision, float32 where bfloat16 gains little or rounds too much."""
        if self.bfloat16 is None or not (self.error or 0) <= LARGEST_ERROR[torch.bfloat16]:
            return torch.float32
        return torch.bfloat16 if self.bfloat16 < GAIN * self.float32 else torch.float32

    def __str__(self) -> str:
        seconds = "not possible" if self.bfloat16 is None else f"{self.bfloat16:.3f} s"
        rounding = f", rounding {self.error:.1%}" if self.error is not None else ""
        return f"measured on a window of {self.edge}³: float32 {self.float32:.3f} s, bfloat16 {seconds}{rounding}"


def time_precisions(network: Denoiser, runtime: str, device: torch.device, weights: str) -> Timing:
    """The times of a network, measured here or as they were before. weights: its checksum."""
    evaluator = f"{runtime} {version(runtime)}"
    computer = (device_name(device), torch.get_num_threads())
    where = (*computer, evaluator, weights, EDGE, sorted(versions().items()))
    key = hashlib.sha256(json.dumps(where).encode()).hexdigest()
    kept = _kept()
    with suppress(KeyError, TypeError):
        return Timing(**kept[key])
    timing = _measure(network, runtime, device)
    newest = dict([*kept.items(), (key, asdict(timing))][-KEPT:])
    with suppress(OSError, InputError):  # where it cannot be kept, the next process measures again
        data_folder().mkdir(parents=True, exist_ok=True)
        with whole_file(data_folder() / FILE) as part:
            part.write_text(json.dumps(newest, indent=1), encoding="utf-8")
    return timing


def clock(device: torch.device) -> float:
    """Seconds that pass: on a processor those of this process alone, so that other work beside does not count."""
    return process_time() if device.type == "cpu" else perf_counter()


def window_inputs(network: Denoiser, edge: int, device: torch.device) -> list[torch.Tensor]:
    """The inputs of a network for a window of noise, without anatomy or place in the body."""
    encoding, shape = network.config.encoding, (edge,) * 3
    noise = torch.randn(1, 1, *shape, generator=torch.Generator().manual_seed(0)).to(device)
    codes = [torch.zeros(1, n, *shape, device=device) for n in (encoding.position_channels, encoding.anatomy_channels)]
    return [noise, torch.full((1,), 200, device=device), *codes, torch.zeros(1, dtype=torch.long, device=device)]


def _kept() -> dict:
    """What was measured before, by key; nothing if the file is missing or damaged."""
    with suppress(OSError, ValueError):
        found = json.loads((data_folder() / FILE).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}


@torch.inference_mode()
def _measure(network: Denoiser, runtime: str, device: torch.device) -> Timing:
    """The times of a window, the best of a few, both precisions by turns."""
    edge = min(EDGE, network.config.patch)
    evaluate = _evaluation(network, runtime, device, edge)
    exact, coarse = [], []
    possible = device.type == "cpu" or has_native_bfloat16(device)
    for _ in range(ROUNDS):
        exact.append(evaluate(torch.float32))
        try:
            coarse += [evaluate(torch.bfloat16)] if possible else []
        except RuntimeError:  # not by this processor or version
            possible = False
        if len(coarse) > 1 and not 1 / CLEAR < coarse[-1][0] / exact[-1][0] < CLEAR:
            break
    best = min(seconds for seconds, _ in exact[1:])
    if not possible:
        return Timing(edge, best, None, None)
    found, expected = coarse[-1][1], exact[-1][1]
    error = float((found - expected).abs().mean() / expected.abs().mean().clamp(min=1e-6))
    return Timing(edge, best, min(seconds for seconds, _ in coarse[1:]), error)


def _evaluation(
    network: Denoiser, runtime: str, device: torch.device, edge: int
) -> Callable[[torch.dtype], tuple[float, torch.Tensor]]:
    """A function that evaluates a window in a precision: how long it took, and the output."""
    inputs = window_inputs(network, edge, device)
    evaluators = {dtype: CompiledNetwork(network, dtype) if runtime == "openvino" else network for dtype in DTYPES}

    def evaluate(dtype: torch.dtype) -> tuple[float, torch.Tensor]:
        started = clock(device)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            output = evaluators[dtype](*inputs).float()
        float(output.sum())  # waits for a GPU
        return clock(device) - started, output

    return evaluate
