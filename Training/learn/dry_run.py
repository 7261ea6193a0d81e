"""Sizes, memory and time of a run, measured on one step of it; nothing is written."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from .batches import StepBatches, TrainingBatch
from .log import memory_mib
from .trainer import Trainer

MIB = 2**20


def dry_run(trainer: Trainer) -> list[tuple[str, str]]:
    """The sizes, memory and time of a run as names and values to print. Two real steps are taken, the first to warm up,
    by all processes together, so each must call it.
    """
    steps = StepBatches(
        trainer.cases, trainer.config, trainer.schedule, trainer.processes.rank, trainer.processes.count
    )
    began = time.perf_counter()
    batches = steps[0]
    drawing = time.perf_counter() - began
    activations = _activations(trainer, batches[0])
    trainer.update(batches)
    began = time.perf_counter()
    trainer.update(batches)
    seconds = time.perf_counter() - began
    return [*_sizes(trainer, batches[0]), *_memory(trainer, activations), *_times(trainer, drawing, seconds)]


def _sizes(trainer: Trainer, batch: TrainingBatch) -> list[tuple[str, str]]:
    c, count = trainer.config, trainer.processes.count
    encoding = c.network.encoding
    channels = 1 + encoding.position_channels + encoding.anatomy_channels
    return [
        ("parameters", f"{sum(p.numel() for p in trainer.network.parameters()):,}"),
        ("samples of an update", f"{trainer.samples_per_step} = {count} processes × batch {c.batch} × {c.accumulate}"),
        ("network's input", " × ".join(str(n) for n in (c.batch, channels, *batch.x_t.shape[2:]))),
        ("batch on the device", f"{batch.x_t[0].numel() * c.batch * (channels + 1) * 4 / MIB:,.0f} MiB"),
    ]


def _memory(trainer: Trainer, activations: int) -> list[tuple[str, str]]:
    weights = _bytes(trainer.network.parameters())
    parts = {
        "weights": weights,
        "gradients": weights,
        "Adam": 2 * weights,
        "average (EMA)": _bytes(trainer.average.module.parameters()),
        "activations kept for the gradient": activations,
    }
    lines = [(name, f"{size / MIB:,.0f} MiB") for name, size in parts.items()]
    where = "GPU" if trainer.device.type == "cuda" else "process"
    together = ("sum", f"{sum(parts.values()) / MIB:,.0f} MiB")
    return [*lines, together, (f"most in use by the {where}", f"{memory_mib(trainer.device):,.0f} MiB")]


def _times(trainer: Trainer, drawing: float, seconds: float) -> list[tuple[str, str]]:
    left = trainer.config.steps - trainer.step + 2
    return [
        ("drawing an update's crops", f"{drawing:.2f} s in one worker"),
        ("an update", f"{seconds:.2f} s"),
        ("samples a second", f"{trainer.samples_per_step / seconds:.2f}"),
        ("the whole run", f"{left:,} updates, {left * seconds / 86400:.2f} days if the workers keep up"),
    ]


def _bytes(parameters: Sequence[torch.Tensor]) -> int:
    return sum(p.numel() * p.element_size() for p in parameters)


def _activations(trainer: Trainer, batch: TrainingBatch) -> int:
    """Bytes that a forward pass keeps for the backward pass, weights not counted."""
    weights = {p.untyped_storage().data_ptr() for p in trainer.network.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    model, trainer.model = trainer.model, trainer.network
    try:
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            trainer.losses(batch)
    finally:
        trainer.model = model
    return sum(kept.values())
