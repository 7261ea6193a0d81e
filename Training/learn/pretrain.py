"""Pre-training (paper, III-B): the loop over a `Trainer`'s steps, with its log, validation, pictures and states."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
from torch.utils.data import DataLoader

from .batches import StepBatches, TrainingBatch
from .log import memory_mib
from .trainer import Trainer
from .validation import pictures, validate

Log = Callable[[dict], None]
Show = Callable[[dict[str, np.ndarray], int], None]


def pretrain(
    trainer: Trainer,
    log: Log,
    stop: Callable[[], bool] = lambda: False,
    workers: int = 0,
    show: Show | None = None,
) -> None:
    """Train to `config.steps`, saving every `save_every` steps and at the end (also when `stop` says so).

    log: called with one row a step, show: with pictures; both only by the main process. workers: processes that draw
    crops ahead; 0 draws them in between. The run is the same with any number.
    """
    main = trainer.processes.main
    for waited, batches in steps_ahead(trainer, workers):
        if trainer.processes.any(stop()):
            break
        began = time.perf_counter()
        row = trainer.update(batches)
        seconds = waited + time.perf_counter() - began
        if main:
            row |= look(trainer, show)
            log({"step": trainer.step, "seconds": seconds, **row, **speed(trainer, waited, seconds)})
        if trainer.step % trainer.config.save_every == 0:
            trainer.save()
    trainer.save()
    trainer.processes.wait()


def steps_ahead(trainer: Trainer, workers: int) -> Iterator[tuple[float, list[TrainingBatch]]]:
    """The batches of every step from the trainer's step on, each with the seconds spent waiting for it."""
    processes = trainer.processes
    steps = StepBatches(trainer.cases, trainer.config, trainer.schedule, processes.rank, processes.count)
    order = range(trainer.step, trainer.config.steps)
    loader = iter(DataLoader(steps, sampler=order, batch_size=None, num_workers=workers))
    for _ in order:
        began = time.perf_counter()
        batches = next(loader)
        yield time.perf_counter() - began, batches


def look(trainer: Trainer, show: Show | None) -> dict[str, float]:
    """Validate and show pictures when they are due; the best weights so far are kept as `best.pt`."""
    config, row = trainer.config, {}
    if not trainer.validation:
        return row
    if config.validate_every and trainer.step % config.validate_every == 0:
        row = validate(trainer)
        if row["validation/loss"] < trainer.best:
            trainer.best = row["validation/loss"]
            trainer.save("best.pt")
    if show and config.sample_every and trainer.step % config.sample_every == 0:
        show(pictures(trainer), trainer.step)
    return row


def speed(trainer: Trainer, waited: float, seconds: float) -> dict[str, float]:
    """The speed in patches a second of all processes, the fraction of time spent waiting for data, and the memory."""
    return {
        "speed/patches_per_second": trainer.samples_per_step / seconds,
        "speed/waiting_share": waited / seconds,
        "speed/memory_mib": memory_mib(trainer.device),
    }
