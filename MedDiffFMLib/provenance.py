"""How a result came to be: OUTPUT.json beside OUTPUT.nii.gz. No patient identifiers; no paths, which may hold
names.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import __version__
from .errors import InputError
from .parameters import ANATOMY_FILE
from .volume_io import check_output, write_volume

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
    """Before any work: InputError unless the volume and its provenance can be written."""
    check_output(output, overwrite)
    beside = provenance_path(output)
    if beside.exists() and not overwrite:
        raise InputError(f"{beside} exists, and the result's provenance goes there: use another name or --overwrite.")


def describe_run(
    task: str, parameters: Parameters, common: CommonParameters, model: Model, source: Volume, synthetic: bool = False
) -> dict:
    """The provenance of a run as a dict for JSON; add `facts` and `seconds` before it is written.

    `synthetic` says that the result shows anatomy that nobody has. `parameters` holds what `--json` needs to run
    again.
    """
    settings = parameters.to_dict() | {"device": common.device, "precision": common.precision}
    if settings.get("anatomy", "auto") not in ("auto", "none"):
        settings["anatomy"] = ANATOMY_FILE
    if common.model and model.source != "folder":  # a folder's path may name a user
        settings["model"] = common.model
    return {
        "format": FORMAT,
        "task": task,
        "synthetic": synthetic,
        "notice": "Made by a model, for research only: not for diagnosis.",
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "model": {"name": model.name, "source": model.source, "sha256": model.sha256},
        "computed": {"device": str(model.device), "precision": str(model.dtype).removeprefix("torch.")},
        "parameters": settings,
        "source": describe_volume(source),
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


def write_result(volume: Volume, output: Path, record: dict, overwrite: bool = False) -> None:
    """The volume and its provenance, both whole or neither: the provenance takes its name only once the volume
    stands.
    """
    beside = provenance_path(output)
    part = beside.with_name(f".{beside.name}.part")
    try:
        part.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        write_volume(volume, output, overwrite=overwrite)
        os.replace(part, beside)
    finally:
        part.unlink(missing_ok=True)
