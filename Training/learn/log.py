"""The log of a run: one JSON line a step in `log.jsonl`, and the same with pictures in TensorBoard."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch


class RunLog:
    """The log of a run that goes on from `step`: rows and events of later steps, whole or torn, are dropped."""

    def __init__(self, folder: Path, step: int = 0):
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        keep_lines(folder / "log.jsonl", step)
        self.file = (folder / "log.jsonl").open("a", encoding="utf-8")
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)  # hides events from there on

    def __call__(self, row: dict) -> None:
        self.file.write(json.dumps(row) + "\n")
        self.file.flush()
        for name, value in row.items():
            if name != "step":
                self.board.add_scalar(name, value, row["step"])

    def show(self, images: dict[str, np.ndarray], step: int) -> None:
        """Show pictures (H, W) in [0, 1], in TensorBoard alone."""
        for name, image in images.items():
            self.board.add_image(name, image, step, dataformats="HW")

    def close(self) -> None:
        self.file.close()
        self.board.close()


def keep_lines(path: Path, step: int) -> None:
    """Keep the rows of a log up to `step`, and drop later ones and a torn last line."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except ValueError:
            continue
    replace_file(path, "".join(kept).encode())


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def memory_mib(device: torch.device) -> float:
    """The peak memory so far in MiB: of tensors on the GPU, or of this process; 0 where it is not known."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
