"""The hardware of this computer and the versions of the packages that compute, in a few facts."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import functools
import os
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__

if TYPE_CHECKING:
    import torch


def memory_gb() -> float | None:
    """The computer's main memory in GB; None where the system does not report it without further packages."""
    try:
        if hasattr(ctypes, "windll"):
            return round(_windows_memory() / 1e9, 1)
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of sysinfoapi.h."""

    _fields_ = [("length", ctypes.c_uint32), ("load", ctypes.c_uint32)] + [
        (name, ctypes.c_uint64)
        for name in (
            "total",
            "free",
            "total_page_file",
            "free_page_file",
            "total_virtual",
            "free_virtual",
            "free_extended",
        )
    ]


def _windows_memory() -> int:
    """Bytes of main memory on Windows, which has no sysconf."""
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        raise OSError("GlobalMemoryStatusEx failed")
    return status.total


@functools.cache
def processor() -> str:
    """The processor by name and instructions, as `AMD EPYC 9B14, AVX512`; what the system does not say is left out."""
    import torch

    found = platform.processor()
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if sys.platform == "darwin":
            asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
            found = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
        elif sys.platform == "linux":
            named = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
            found = named[1].strip() if named else found
    return ", ".join(part for part in (found or platform.machine(), torch.backends.cpu.get_cpu_capability()) if part)


def device_name(device: torch.device) -> str:
    """The name of the hardware behind a device."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type} {processor()}"


def report_faults() -> None:
    """Report faults of native code on stderr from now on, so that they can be distinguished from a process that was
    ended because the memory ran out.
    """
    with contextlib.suppress(ValueError, OSError, AttributeError):  # there is no stderr
        faulthandler.enable(sys.stderr, all_threads=False)


def describe_pytorch() -> dict:
    """The facts about PyTorch on this computer: device, graphics cards, threads, native precision."""
    import torch

    from .device import choose_device, gpus, has_native_bfloat16

    device = choose_device("auto")
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "device": str(device),
        "gpu": gpu,
        "gpus": ", ".join(f"{name} {title}" for name, title in gpus().items()) or None,
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
    """The advice to a user whose PyTorch uses no GPU."""
    import torch

    if torch.version.cuda is None:
        return "This PyTorch computes on the processor alone: with an NVIDIA card, install a CUDA build of PyTorch."
    return "PyTorch sees no NVIDIA card: check that the card is there and its driver is not older than this PyTorch."


PACKAGES = ("torch", "monai", "numpy", "SimpleITK")


def versions() -> dict:
    """The versions of this package, Python, and the packages that compute."""
    package_versions = {"meddiff-fm": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            package_versions[package] = version(package)
        except PackageNotFoundError:
            package_versions[package] = "unknown"
    return package_versions
