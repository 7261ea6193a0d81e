"""What a run tells: one JSON line a step in `log.jsonl`, and the same with pictures in TensorBoard."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch


class RunLog:
    """The log of a run that stands at `step`: what an earlier process wrote beyond it, whole or torn, is forgotten."""

    def __init__(self, folder: Path, step: int = 0):
        from torch.utils.tensorboard import SummaryWriter

        board = folder / "tensorboard"
        board.mkdir(parents=True, exist_ok=True)
        keep_lines(folder / "log.jsonl", step)
        for file in sorted(board.glob("events.out.tfevents.*")):
            keep_events(file, step)
        self.file = (folder / "log.jsonl").open("a", encoding="utf-8")
        self.board = SummaryWriter(str(board))

    def __call__(self, row: dict) -> None:
        self.file.write(json.dumps(row) + "\n")
        self.file.flush()
        for name, value in row.items():
            if name != "step":
                self.board.add_scalar(name, value, row["step"])

    def show(self, images: dict[str, np.ndarray], step: int) -> None:
        """Pictures (H, W) in [0, 1], for TensorBoard alone."""
        for name, image in images.items():
            self.board.add_image(name, image, step, dataformats="HW")

    def close(self) -> None:
        self.file.close()
        self.board.close()


def keep_lines(path: Path, step: int) -> None:
    """Leave of a log the rows up to `step`; a torn last line goes too."""
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


def keep_events(path: Path, step: int) -> None:
    """Leave of a TensorBoard file the events up to `step`; a torn last one goes too."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    part = path.with_name(f"part.{path.name}")
    with part.open("wb") as file:
        writer = RecordWriter(file)
        for record in RawEventFileLoader(str(path)).Load():
            if Event.FromString(record).step <= step:
                writer.write(record)
        writer.flush()
    part.replace(path)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def memory_mib(device: torch.device) -> float:
    """The most memory in use so far: of the GPU by tensors, or of this process; 0 where it cannot be told."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
