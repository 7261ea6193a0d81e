"""The device, the precision and the runtime that a model computes with."""

from __future__ import annotations

import importlib.util
import os
import platform

import torch

from ..errors import InputError

RUNTIMES = ("auto", "torch", "openvino")
RUNTIME_VARIABLE = "MEDDIFF_FM_RUNTIME"
PRECISION_VARIABLE = "MEDDIFF_FM_PRECISION"
APPLE = "mps"  # as PyTorch calls the GPU of an Apple computer


def gpus() -> dict[str, str]:
    """The GPUs that PyTorch sees, by what `--device` calls them: their names."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    found = {f"cuda:{number}": torch.cuda.get_device_name(number) for number in range(count)}
    return found | ({APPLE: "Apple GPU, not tried by the authors"} if torch.backends.mps.is_available() else {})


def choose_device(device: str | None = None) -> torch.device:
    """The device to compute on: `auto` (or None) is the first NVIDIA GPU if there is one, else the CPU; an Apple GPU
    only if asked for. InputError for a GPU that does not exist.
    """
    seen = gpus()
    if device in (None, "auto"):
        return torch.device("cuda:0" if "cuda:0" in seen else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        chosen = None
    if chosen is None or chosen.type not in ("cpu", "cuda", APPLE):
        raise InputError(f"There is no device {device!r}: use auto, cpu, cuda, cuda:NUMBER or mps.")
    if chosen.type == "cpu":
        return chosen
    name = APPLE if chosen.type == APPLE and not chosen.index else f"{chosen.type}:{chosen.index or 0}"
    if name not in seen:
        found = ", ".join(f"{other} ({title})" for other, title in seen.items()) or "none"
        raise InputError(f"There is no GPU {device!r}, PyTorch sees {found}: use --device cpu or another GPU.")
    return torch.device(name)


def choose_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The network's precision. `auto` is what the environment variable MEDDIFF_FM_PRECISION says, else None: it is to
    be measured (see `models.precision`). InputError for one that there is not, or not on this device.
    """
    if precision == "auto":
        precision = os.environ.get(PRECISION_VARIABLE) or "auto"
    if precision == "auto":
        return None
    if precision not in ("float32", "bfloat16", "float16"):
        raise InputError(f"There is no precision {precision!r}: use auto, float32, bfloat16 or float16.")
    if precision == "float16" and device.type == "cpu":
        raise InputError("float16 needs a GPU: use --precision auto, float32 or bfloat16.")
    return getattr(torch, precision)


def choose_runtime(runtime: str, device: torch.device) -> str:
    """`torch` or `openvino`. `auto` is what the environment variable MEDDIFF_FM_RUNTIME says, else OpenVINO on a CPU
    where it is installed, else PyTorch. InputError for OpenVINO on a GPU, or where it is not installed.
    """
    if runtime == "auto":
        runtime = os.environ.get(RUNTIME_VARIABLE) or "auto"
    if runtime not in RUNTIMES:
        raise InputError(f"There is no runtime {runtime!r}: use auto, torch or openvino.")
    possible = device.type == "cpu" and has_openvino()
    if runtime == "auto":
        return "openvino" if possible else "torch"
    if runtime == "openvino" and not possible:
        if device.type != "cpu":
            raise InputError(
                f"OpenVINO computes on the processor, not on {device}: use --device cpu or --runtime torch."
            )
        raise InputError("OpenVINO is not installed: use --runtime torch, or pip install 'meddiff-fm[cpu]'.")
    return runtime


def has_openvino() -> bool:
    """Whether OpenVINO can be imported here."""
    return importlib.util.find_spec("openvino") is not None


def has_native_bfloat16(device: torch.device) -> bool:
    """Whether this hardware computes bfloat16 itself. Emulated bfloat16 works everywhere, slower than float32: it does
    not count, nor does an Apple GPU, which could not be tried.
    """
    if device.type == APPLE:
        return False
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    if platform.machine().lower() in ("x86_64", "amd64"):
        # oneDNN reports support from plain AVX-512 on, where it converts in software: ask for the instructions
        # themselves
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return platform.system() == "Linux" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
