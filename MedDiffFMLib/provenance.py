"""How a result came to be: OUTPUT.json beside OUTPUT.nii.gz. No patient identifiers; no paths, which may hold
names.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import __version__
from .errors import InputError
from .parameters import ANATOMY_FILE, ANATOMY_WORDS
from .volume_io import check_folder, check_output, write_volume

if TYPE_CHECKING:
    from .models import Model
    from .parameters import CommonParameters, Parameters
    from .volume import Volume

FORMAT = 1
PACKAGES = ("torch", "monai", "numpy", "SimpleITK")


def provenance_path(output: Path) -> Path:
    """`scan.nii.gz` → `scan.json`, `scan.mha` → `scan.json`, in the same folder."""
    name = output.name[:-3] if output.name.lower().endswith(".nii.gz") else output.name
    return output.with_name(Path(name).stem + ".json")


def check_result_path(output: Path, overwrite: bool) -> None:
    """Before any work: InputError unless the volume and its provenance, or the table (.csv), can be written."""
    if output.suffix.lower() == ".csv":
        check_folder(output, overwrite)
        return
    check_output(output, overwrite)
    beside = provenance_path(output)
    if beside.exists() and not overwrite:
        raise InputError(f"{beside} exists, and the result's provenance goes there: use another name or --overwrite.")


def describe_run(
    task: str, parameters: Parameters, common: CommonParameters, model: Model, sources: Sequence[Volume]
) -> dict:
    """The provenance of a run as a dict for JSON; add `facts` and `seconds` before it is written.

    Its `synthetic` says that the result shows anatomy that nobody has. Its `parameters` hold what `--json` needs to
    run again.
    """
    settings = parameters.to_dict() | {"device": common.device, "precision": common.precision}
    if settings.get("anatomy", "auto") not in ANATOMY_WORDS:
        settings["anatomy"] = ANATOMY_FILE
    if common.model and model.source != "folder":  # a folder's path may name a user
        settings["model"] = common.model
    return {
        "format": FORMAT,
        "task": task,
        "synthetic": parameters.synthetic,
        "notice": "Made by a model, for research only: not for diagnosis.",
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "model": {"name": model.name, "source": model.source, "sha256": model.sha256},
        "computed": {"device": str(model.device), "precision": str(model.dtype).removeprefix("torch.")},
        "parameters": settings,
        "source": describe_volume(sources[0]),
        "further_sources": [describe_volume(source) for source in sources[1:]],
        "versions": versions(),
    }


def describe_volume(volume: Volume) -> dict:
    """Geometry and a checksum of the voxels (C order, little endian); nothing that names a patient."""
    voxels = np.ascontiguousarray(volume.voxels)
    return {
        "size": list(voxels.shape[::-1]),
        "spacing": list(volume.spacing),
        "origin": list(volume.origin),
        "direction": list(volume.direction),
        "voxel_type": str(voxels.dtype),
        "voxels_sha256": hashlib.sha256(voxels.astype(voxels.dtype.newbyteorder("<"), copy=False)).hexdigest(),
    }


def versions() -> dict:
    """Versions of what computed."""
    found = {"meddiff-fm": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


@dataclass(frozen=True)
class Item:
    """Something to write: a volume, or the rows of a table, and the provenance that goes beside a volume."""

    path: Path
    content: Volume | list[dict]
    record: dict


def write_results(items: Sequence[Item], overwrite: bool = False) -> None:
    """Write volumes with their provenance, and tables (CSV): all of them or none.

    Everything is written under hidden names first; a file takes its own name only once all stand.
    """
    staged: list[tuple[Path, Path]] = []
    try:
        for item in items:
            hidden = item.path.with_name(f".{uuid.uuid4().hex}-{item.path.name}")
            staged.append((hidden, item.path))
            if isinstance(item.content, list):
                _write_table(item.content, hidden)
                continue
            write_volume(item.content, hidden)
            beside = provenance_path(hidden)
            staged.append((beside, provenance_path(item.path)))
            beside.write_text(json.dumps(item.record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        for _, path in staged:
            if path.exists() and not overwrite:
                raise InputError(f"{path} exists already; choose another name or allow overwriting it (--overwrite).")
        for hidden, path in staged:
            os.replace(hidden, path)
    finally:
        for hidden, _ in staged:
            hidden.unlink(missing_ok=True)


def _write_table(rows: list[dict], path: Path) -> None:
    """CSV with a header line; the first row names the columns, so a table without rows is an empty file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        if rows:
            table = csv.DictWriter(file, fieldnames=list(rows[0]))
            table.writeheader()
            table.writerows(rows)
