"""A task from files to files: what the command line, the worker and batches run alike.

Everything that can be wrong with files or parameters is found before the model computes; all outputs appear, or none.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from .anatomy_io import read_anatomy
from .errors import InputError
from .parameters import ANATOMY_WORDS, TASKS, CommonParameters, FileSlot, Parameters
from .progress import ProgressCallback
from .provenance import Item, check_result_path, describe_run, write_results
from .volume import Volume
from .volume_checks import check_ct
from .volume_io import read_labels, read_volume


@dataclass(frozen=True)
class Report:
    """What a job did: the files it wrote by the name of the output, facts, one line for a reader, and its time."""

    task: str
    written: dict[str, list[Path]]
    facts: dict
    summary: str
    seconds: float


def run_job(
    task: str,
    files: dict[str, Path | None],
    parameters: Parameters,
    common: CommonParameters,
    progress: ProgressCallback | None = None,
    load: Callable | None = None,
) -> Report:
    """Run a task (a name in `TASKS`) on files, by the names of the task's file slots.

    load: in place of `models.load_model`, to keep a model between jobs. Raises InputError before any work if a file
    cannot be read or written; what `progress` raises passes through. No file is left behind then.
    """
    started = time.monotonic()
    paths = output_paths(task, files, parameters)
    for some in paths.values():
        for path in some:
            check_result_path(path, common.overwrite)
    inputs = read_inputs(task, files)
    values = parameters.to_dict()
    if values.get("anatomy", "none") not in ANATOMY_WORDS:
        values["anatomy"] = read_anatomy(values["anatomy"], like=inputs[0])

    if load is None:
        from .models import load_model as load
    model = load(common.model, device=common.device, precision=common.precision)
    run = getattr(import_module(f".tasks.{task.replace('-', '_')}", __package__), task.replace("-", "_"))
    result = run(*inputs, model=model, progress=progress, **values)
    record = describe_run(task, parameters, common, model, inputs)
    record["facts"] = result.facts
    record["seconds"] = round(time.monotonic() - started, 1)
    made = result.outputs()
    items = [
        Item(path, one, record | {"output": name, "sample": number})
        for name, some in paths.items()
        for number, (path, one) in enumerate(zip(some, _each(made[name]), strict=True), 1)
    ]
    write_results(items, common.overwrite)
    return Report(task, paths, result.facts, result.summary(), record["seconds"])


def _each(made: list) -> list:
    """A table is one output, whatever the number of its rows; volumes are one each."""
    return made if made and isinstance(made[0], Volume) else [made]


def output_paths(task: str, files: dict[str, Path | None], parameters: Parameters) -> dict[str, list[Path]]:
    """The files that a job will write, by the name of the output: OUT.nii.gz, or OUT-1.nii.gz, OUT-2.nii.gz, … for
    several samples. InputError if two are the same.
    """
    samples = getattr(parameters, "samples", 1)
    found = {}
    for slot in TASKS[task].files:
        path = files.get(slot.name)
        if not slot.output or path is None:
            continue
        several = samples > 1 and slot.kind != "table"
        found[slot.name] = [_numbered(Path(path), n) for n in range(1, samples + 1)] if several else [Path(path)]
    every = [path.resolve() for some in found.values() for path in some]
    if len(set(every)) < len(every):
        raise InputError(f"Two outputs of {task} have the same name ({every[0].name}): name each differently.")
    return found


def _numbered(path: Path, number: int) -> Path:
    stem, dot, suffix = path.name.partition(".")
    return path.with_name(f"{stem}-{number}{dot}{suffix}")


def read_inputs(task: str, files: dict[str, Path | None]) -> list[Volume]:
    """A job's inputs in the order of its slots: CTs checked, masks on the grid of the first. InputError otherwise."""
    volumes: list[Volume] = []
    for slot in TASKS[task].files:
        if not slot.output:
            volumes.append(_read(slot, Path(files[slot.name]), volumes[0] if volumes else None))
    return volumes


def _read(slot: FileSlot, path: Path, first: Volume | None) -> Volume:
    if slot.kind == "labels":
        return read_anatomy(path, like=first)
    if slot.kind == "mask":
        return read_labels(path, like=first)
    volume = read_volume(path)
    check_ct(volume)
    return volume
