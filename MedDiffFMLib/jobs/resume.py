"""Decide from the provenance files whether an earlier run already wrote a job's outputs."""

from __future__ import annotations

import enum
import json
from pathlib import Path

from .provenance import provenance_path

_COMPARED = ("task", "source", "further_sources", "anatomy")
# parameters: where and how it ran, and the model's name: its checksum identifies it
_NOT_COMPARED = ("device", "runtime", "model")


class OutputState(enum.Enum):
    """The state of a job's outputs. DONE: all that it would write. UNFINISHED: a part of it. OTHER: files of other runs
    or programs.
    """

    DONE = "done"
    UNFINISHED = "unfinished"
    OTHER = "other"


def existing_outputs(paths: dict[str, list[Path]], record: dict) -> OutputState:
    """The state of a job's outputs on the disk. paths: the outputs by name; record: the provenance that the job would
    write (`describe_run`).
    """
    all_paths = [path for slot_paths in paths.values() for path in slot_paths]
    volumes = [path for path in all_paths if path.suffix.lower() != ".csv"]
    ours = [path for path in volumes if _is_ours(provenance_path(path), record)]
    foreign = [p for p in volumes if p not in ours and (p.exists() or provenance_path(p).exists())]
    if foreign or not ours:
        return OutputState.OTHER
    return OutputState.DONE if ours == volumes and all(path.exists() for path in all_paths) else OutputState.UNFINISHED


def _is_ours(provenance: Path, record: dict) -> bool:
    """Whether a provenance file is of a run equal to the one that `record` describes."""
    try:
        stored = json.loads(provenance.read_text(encoding="utf-8"))
        return fingerprint(stored) == fingerprint(json.loads(json.dumps(record)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def fingerprint(record: dict) -> dict:
    """The part of a provenance that is equal for runs that make the same voxels on the same computer."""
    parameters = {name: value for name, value in record["parameters"].items() if name not in _NOT_COMPARED}
    same = {name: record.get(name) for name in _COMPARED}
    return same | {"parameters": parameters, "model": record["model"]["sha256"]}
