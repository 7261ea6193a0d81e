"""What this computer computes with, in a few facts."""

from __future__ import annotations

import os


def memory_gb() -> float | None:
    """The computer's main memory, where the system tells it without further packages."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None


def describe_pytorch() -> dict:
    """Device, graphics card, threads and precision of PyTorch here."""
    import torch

    from .models import choose_device, has_native_bfloat16

    device = choose_device("auto")
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "device": str(device),
        "gpu": gpu,
        "gpu_memory_gb": round(torch.cuda.get_device_properties(device).total_memory / 1e9, 1) if gpu else None,
        "threads": torch.get_num_threads(),
        "native_bfloat16": has_native_bfloat16(device),
    }


def describe_system() -> dict:
    """`describe_pytorch`, the memory, PyTorch's version, and `advice`: what to do if no GPU is used, else empty."""
    import torch

    facts = describe_pytorch()
    return facts | {"memory_gb": memory_gb(), "torch": torch.__version__, "advice": "" if facts["gpu"] else _advice()}


def _advice() -> str:
    import torch

    if torch.version.cuda is None:
        return "This PyTorch computes on the processor alone: with an NVIDIA card, install a CUDA build of PyTorch."
    return "PyTorch sees no NVIDIA card: check that the card is there and its driver is not older than this PyTorch."
