"""A job's output files: their names, whether they can be written, and writing all of them or none."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..atomic import TABLE, check_name, check_place, check_room, hidden_name, move_into_place, naming
from ..errors import InputError
from ..parameters import TASKS, FileSlot, Parameters
from ..volumes.dicom.writing import (
    check_segmentation,
    check_series,
    is_series,
    move_folder_into_place,
    write_segmentation,
    write_series,
)
from ..volumes.io import check_folder, check_output, write_volume
from ..volumes.volume import Volume
from .provenance import provenance_path


def check_result_path(output: Path, overwrite: bool) -> None:
    """Check before any work that the volume (a file, or a folder for a DICOM series) and its provenance, or the table
    (.csv), can be written; else InputError.
    """
    suffix = output.suffix.lower()
    if is_series(output):
        check_series(output, overwrite)
    elif suffix in (".csv", ".dcm"):
        check_folder(output, overwrite)
    else:
        check_output(output, overwrite)
    if suffix == ".csv":
        return
    beside = provenance_path(output)
    check_place(beside)
    if beside.exists() and not overwrite:
        raise InputError(f"{beside} exists, and the result's provenance goes there: use another name or --overwrite.")


@dataclass(frozen=True)
class OutputItem:
    """An output to write: a volume, or the rows of a table, and the provenance that goes beside a volume.

    columns: of the table, which need no row then; without them, those of its first row.
    """

    path: Path
    content: Volume | list[dict]
    record: dict
    columns: tuple[str, ...] = ()


def write_results(items: Sequence[OutputItem], overwrite: bool = False) -> None:
    """Write volumes with their provenance, and tables (CSV): all of them or none.

    Everything is written under hidden names first; a file or folder takes its own name only once all are written, the
    provenance before its volume: a volume without provenance would look as if another program had made it.
    """
    staged: list[tuple[Path, Path]] = []
    try:
        for item in items:
            hidden = hidden_name(item.path)
            staged.append((hidden, item.path))
            with naming(item.path):
                _write(item, hidden)
            if isinstance(item.content, list):
                continue
            hidden_record, record = hidden_name(item.path, ".json"), provenance_path(item.path)
            staged.append((hidden_record, record))
            with naming(record):
                hidden_record.write_text(json.dumps(item.record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        for item in items:
            check_result_path(item.path, overwrite)
        for hidden, path in sorted(staged, key=lambda pair: pair[1].suffix != ".json"):
            with naming(path):
                move_folder_into_place(hidden, path) if hidden.is_dir() else move_into_place(hidden, path)
    finally:
        for hidden, _ in staged:
            shutil.rmtree(hidden) if hidden.is_dir() else hidden.unlink(missing_ok=True)


def _write(item: OutputItem, path: Path) -> None:
    """Write an item's table or volume as `path`, in the format that its own name asks for."""
    if isinstance(item.content, list):
        _write_table(item, path)
    elif is_series(item.path):
        write_series(item.content, path, item.record)
    elif path.suffix.lower() == ".dcm":
        write_segmentation(item.content, path, item.record)
    else:
        write_volume(item.content, path, named=item.path)


def _write_table(item: OutputItem, path: Path) -> None:
    """An item's rows as `path`: CSV with a header line."""
    columns = item.columns or tuple(item.content[0] if item.content else ())
    with path.open(**TABLE) as file:
        table = csv.DictWriter(file, fieldnames=columns)
        table.writeheader()
        table.writerows(item.content)


def output_paths(task: str, files: dict[str, Path | None], parameters: Parameters) -> dict[str, list[Path]]:
    """The files that a job will write, by the name of the output: OUT.nii.gz, or OUT-1.nii.gz, OUT-2.nii.gz, … for
    several samples. InputError if two are the same, or their provenance is.
    """
    samples = getattr(parameters, "samples", 1)
    paths, output_of = {}, {}
    for slot in TASKS[task].files:
        path = files.get(slot.name)
        if not slot.output or path is None:
            continue
        check_name(Path(path))
        _check_format(slot, Path(path), files[TASKS[task].files[0].name])
        several = samples > 1 and slot.kind != "table"
        paths[slot.name] = [_numbered(Path(path), n) for n in range(1, samples + 1)] if several else [Path(path)]
        for output in paths[slot.name]:
            written = {output} if slot.kind == "table" else {output, provenance_path(output)}
            check_name(max(written, key=lambda file: len(file.name)))
            for file in {file.resolve() for file in written}:
                if file in output_of:
                    raise InputError(
                        f"Two outputs of {task}, {output_of[file].name} and {output.name}, would both write "
                        f"{file.name}: name them differently."
                    )
                output_of[file] = output
    return paths


def _check_format(slot: FileSlot, path: Path, first: Path | None) -> None:
    """Check an output's file name: InputError unless it fits the kind of the output. first: the task's first input."""
    suffix = path.suffix.lower()
    if slot.kind == "table" and suffix != ".csv":
        raise InputError(f"{path} is not a name for a table; end it with .csv.")
    if slot.kind == "mask" and is_series(path):
        raise InputError(f"{path} is not a name for a mask; end it with .nii.gz, .nii, .nrrd, .mha or .dcm.")
    if slot.kind == "mask" and suffix == ".dcm":
        check_segmentation(path, first)
    if slot.kind in ("volume", "map") and suffix == ".dcm":
        raise InputError(f"{path} is one file, and a DICOM series is a folder of them: give a name without .dcm.")


def check_outputs_fit(task: str, paths: dict[str, list[Path]], first: Volume, factor: int) -> None:
    """Check the disk space: DiskFullError if there is less than the outputs take at least. first: the task's first
    input.
    """
    bytes_of = {"volume": min(first.voxels.itemsize, 2), "map": 2, "mask": 1, "table": 0}  # of a voxel
    bytes_of_slot = {
        slot.name: bytes_of[slot.kind] * first.voxels.size * factor for slot in TASKS[task].files if slot.output
    }
    sizes = [(path, bytes_of_slot[name]) for name, slot_paths in paths.items() for path in slot_paths]
    for path, _ in sizes:
        check_room(path, sum(count for other, count in sizes if other.parent == path.parent))


def _numbered(path: Path, number: int) -> Path:
    """The name of one of several samples: OUT-2.nii.gz."""
    stem, dot, suffix = path.name.partition(".")
    return path.with_name(f"{stem}-{number}{dot}{suffix}")
