"""How a result came to be: OUTPUT.json beside OUTPUT.nii.gz or the DICOM folder OUTPUT. No patient identifiers; no
paths, which may hold names.
"""

from __future__ import annotations

import csv
import hashlib
import json
import platform
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import __version__
from .atomic import TABLE, check_place, hidden_name, naming
from .dicom_out import check_series, is_series, put_folder, write_segmentation, write_series
from .errors import InputError
from .parameters import ANATOMY_FILE, ANATOMY_WORDS
from .putting import put
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
    """Before any work: InputError unless the volume (a file, or a folder for a DICOM series) and its provenance, or
    the table (.csv), can be written.
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


def describe_run(
    task: str,
    parameters: Parameters,
    common: CommonParameters,
    model: Model,
    sources: Sequence[Volume],
    anatomy: Volume | None = None,
) -> dict:
    """The provenance of a run as a dict for JSON; add `facts` and `seconds` before it is written.

    Its `synthetic` says that the result shows anatomy that nobody has. Its `parameters` hold what `--json` needs to
    run again. anatomy: the label map, if one was given.
    """
    settings = parameters.to_dict() | {"device": common.device, "precision": common.precision, "roi": common.roi}
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
        "anatomy": describe_volume(anatomy) if anatomy is not None else None,
        "versions": versions(),
    }


def without_names(sentence: str, sources: dict[str, str]) -> str:
    """A sentence about files with their roles in place of their paths and names, which may name a patient.

    sources: the path of each file by its role, as {"input": "/data/DOE_JANE.nii.gz"}. Files beside it that share its
    name but for the ending (DOE_JANE.json) go too.
    """
    for role, source in sources.items():
        path = Path(source)
        if not path.name:
            continue
        stem = path.name.split(".")[0] or path.name
        for pattern in (re.escape(str(path)), re.escape(path.name), rf"{re.escape(stem)}(\.\w+)+"):
            sentence = re.sub(rf"(?<![\w.]){pattern}(?!\w)", f"the {role}", sentence)
    return sentence


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
    """Something to write: a volume, or the rows of a table, and the provenance that goes beside a volume.

    columns: of the table, which need no row then; without them, those of its first row.
    """

    path: Path
    content: Volume | list[dict]
    record: dict
    columns: tuple[str, ...] = ()


def write_results(items: Sequence[Item], overwrite: bool = False) -> None:
    """Write volumes with their provenance, and tables (CSV): all of them or none.

    Everything is written under hidden names first; a file or folder takes its own name only once all stand, the
    provenance before what it tells of: a volume without it would look like another maker's.
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
            beside, own = hidden_name(item.path, ".json"), provenance_path(item.path)
            staged.append((beside, own))
            with naming(own):
                beside.write_text(json.dumps(item.record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        for item in items:
            check_result_path(item.path, overwrite)
        for hidden, path in sorted(staged, key=lambda pair: pair[1].suffix != ".json"):
            with naming(path):
                put_folder(hidden, path) if hidden.is_dir() else put(hidden, path)
    finally:
        for hidden, _ in staged:
            shutil.rmtree(hidden) if hidden.is_dir() else hidden.unlink(missing_ok=True)


def _write(item: Item, path: Path) -> None:
    """Write an item's table or volume as `path`, in the format that its own name asks for."""
    if isinstance(item.content, list):
        _write_table(item, path)
    elif is_series(item.path):
        write_series(item.content, path, item.record)
    elif path.suffix.lower() == ".dcm":
        write_segmentation(item.content, path, item.record)
    else:
        write_volume(item.content, path, named=item.path)


def _write_table(item: Item, path: Path) -> None:
    """An item's rows as `path`: CSV with a header line."""
    columns = item.columns or tuple(item.content[0] if item.content else ())
    with path.open(**TABLE) as file:
        table = csv.DictWriter(file, fieldnames=columns)
        table.writeheader()
        table.writerows(item.content)
