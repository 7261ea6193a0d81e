"""Organs by TotalSegmentator, if it is installed: `pip install "meddiff-fm[anatomy]"` and its weights.

It runs in a process of its own, so that it can be stopped at once, gives all memory back, and prints nothing here.
Nothing is downloaded and nothing is sent: its weights must be installed already, and its usage statistics are off.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from ..errors import InputError
from ..processes import end_process_group, own_group
from ..volumes.io import resample_labels_to, write_volume
from ..volumes.volume import Volume
from .label_maps.reading import Anatomy, anatomy_of, read_anatomy

# What `totalseg_download_weights -t` calls them, their voxel size, and the numbers of their nnU-Net data sets
_MODES = {"total_fast": ("3 mm", (297,)), "total": ("1.5 mm", (291, 292, 293, 294, 295))}
_INSTEAD = "or use --anatomy auto, --anatomy threshold, or a label map"


def find_organs(
    volume: Volume, device: torch.device | None = None, heartbeat: Callable[[], None] = lambda: None
) -> Anatomy:
    """The 117 organs of a CT (HU, any grid) by TotalSegmentator, on its grid.

    On a GPU at 1.5 mm, on a CPU (or without a device) at 3 mm, which takes minutes; if only the weights of the other
    kind are installed, with those. `heartbeat` is called some times a second; what it raises ends the process and
    passes through. InputError if the package or its weights are missing, or it fails.
    """
    mode = choose_mode(device)
    with tempfile.TemporaryDirectory(prefix="meddiff-fm-") as name:
        folder = Path(name)
        write_volume(volume, folder / "ct.nii")
        on_gpu = device is not None and device.type == "cuda"
        where = f"gpu:{device.index or 0}" if on_gpu else "cpu"
        _run([str(folder), where, mode], folder, heartbeat)
        organs = read_anatomy(folder / "organs.nii")
    if not organs.same_grid(volume):
        raise InputError(f"TotalSegmentator gave its organs on another grid than the CT's: update it, {_INSTEAD}.")
    return anatomy_of(resample_labels_to(organs, volume), f"totalsegmentator ({_MODES[mode][0]})")


def choose_mode(device: torch.device | None = None) -> str:
    """The mode, total or total_fast, that fits the device and has its weights. InputError, with what to do, if none can
    run.
    """
    if not is_installed():
        raise InputError(
            f"TotalSegmentator is not installed: install it with pip install 'meddiff-fm[anatomy]', {_INSTEAD}."
        )
    modes = ["total_fast", "total"]
    if device is not None and device.type == "cuda":
        modes.reverse()
    available = modes_with_weights()
    if not available:
        numbers = ", ".join(map(str, _MODES[modes[0]][1]))
        raise InputError(
            f"TotalSegmentator's weights are not in {weights_folder()}: run totalseg_download_weights -t {modes[0]}, "
            f"or copy its folder(s) Dataset{numbers}_… there from a computer that has them (or set "
            f"TOTALSEG_WEIGHTS_PATH to where they are), {_INSTEAD}."
        )
    return next(mode for mode in modes if mode in available)


def is_installed() -> bool:
    """Whether the package TotalSegmentator can be imported."""
    return importlib.util.find_spec("totalsegmentator") is not None


def weights_folder() -> Path:
    """The folder where TotalSegmentator looks for weights."""
    from totalsegmentator.config import get_weights_dir

    return Path(get_weights_dir())


def modes_with_weights() -> list[str]:
    """The modes, of total_fast and total, whose weights are installed."""
    folder = weights_folder()

    def has_weights(number: int) -> bool:
        return any(folder.glob(f"Dataset{number}_*/*/fold_*/checkpoint_*.pth"))

    return [mode for mode, (_, numbers) in _MODES.items() if all(map(has_weights, numbers))]


def describe() -> str:
    """Whether TotalSegmentator can run here, in words for `doctor`."""
    if not is_installed():
        return "not installed (optional: pip install 'meddiff-fm[anatomy]')"
    try:
        number = version("TotalSegmentator")
    except PackageNotFoundError:
        number = "of unknown version"
    modes = modes_with_weights()
    if not modes:
        return f"{number}, no weights in {weights_folder()} (totalseg_download_weights -t total)"
    return f"{number}, weights: {', '.join(modes)}"


def _run(arguments: list[str], folder: Path, heartbeat: Callable[[], None]) -> None:
    """Run TotalSegmentator in its process until it ends or `heartbeat` raises. Its stdin stays open as long as it may
    run. InputError if it fails.
    """
    root = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    with open(folder / "log.txt", "w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "MedDiffFMLib.anatomy.segmenter_process", *arguments],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"},  # the error comes last
            **own_group(),
        )
        try:
            while not _ended(process):
                heartbeat()
        finally:
            process.stdin.close()  # it ends itself then, with all that it started
            end_process_group(process)
        if process.returncode:
            log.seek(0)
            last = (log.read().strip().splitlines() or ["no message"])[-1]
            raise InputError(f"TotalSegmentator failed ({last.strip()}): run it by itself to see why, {_INSTEAD}.")


def _ended(process: subprocess.Popen) -> bool:
    try:
        process.wait(timeout=0.2)
    except subprocess.TimeoutExpired:
        return False
    return True
