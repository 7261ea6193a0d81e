"""The device, the precision and the runtime that a model computes with."""

from __future__ import annotations

import os
import platform

import torch

from ..errors import InputError
from .openvino_runtime import is_installed

RUNTIMES = ("auto", "torch", "openvino")
RUNTIME_VARIABLE = "MEDDIFF_FM_RUNTIME"


def choose_device(device: str | None = None) -> torch.device:
    """The device to compute on: `auto` (or None) is the first GPU if there is one, else the CPU. InputError for a GPU
    that does not exist.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device in (None, "auto"):
        return torch.device("cuda:0" if gpus else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        chosen = None
    if chosen is None or chosen.type not in ("cpu", "cuda"):
        raise InputError(f"There is no device {device!r}: use auto, cpu, cuda or cuda:NUMBER.")
    if chosen.type == "cuda" and (chosen.index or 0) >= gpus:
        raise InputError(f"There is no GPU {device!r}, PyTorch sees {gpus}: use --device cpu or another number.")
    return torch.device("cuda", chosen.index or 0) if chosen.type == "cuda" else chosen


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The network's precision. `auto` is bfloat16 where the hardware computes it natively, else float32."""
    if precision == "auto":
        return torch.bfloat16 if has_native_bfloat16(device) else torch.float32
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
    possible = device.type == "cpu" and is_installed()
    if runtime == "auto":
        return "openvino" if possible else "torch"
    if runtime == "openvino" and not possible:
        if device.type != "cpu":
            raise InputError(
                f"OpenVINO computes on the processor, not on {device}: use --device cpu or --runtime torch."
            )
        raise InputError("OpenVINO is not installed: use --runtime torch, or pip install 'meddiff-fm[cpu]'.")
    return runtime


def has_native_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 here. Emulated bfloat16 works everywhere, slower than float32: it does
    not count.
    """
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    if platform.machine().lower() in ("x86_64", "amd64"):
        # oneDNN reports support from plain AVX-512 on, where it converts in software: ask for the instructions
        # themselves
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return platform.system() == "Linux" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
