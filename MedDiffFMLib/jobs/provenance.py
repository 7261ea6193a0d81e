"""The provenance of a result: OUTPUT.json beside OUTPUT.nii.gz or the DICOM folder OUTPUT. No patient identifiers; no
paths, which may hold names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..models.hardware import versions
from ..parameters import ANATOMY_FILE, ANATOMY_WORDS

if TYPE_CHECKING:
    from ..models.loading import Model
    from ..parameters import CommonParameters, Parameters
    from ..volumes.volume import Volume

FORMAT = 1


def provenance_path(output: Path) -> Path:
    """The path of an output's provenance, in the same folder: `scan.json` of `scan.nii.gz` and of `scan.mha`."""
    name = output.name[:-3] if output.name.lower().endswith(".nii.gz") else output.name
    return output.with_name(Path(name).stem + ".json")


def describe_run(
    task: str,
    parameters: Parameters,
    common: CommonParameters,
    model: Model,
    sources: Sequence[Volume],
    anatomy: Volume | None = None,
) -> dict:
    """The provenance of a run as a dict for JSON; add `facts` and `seconds` before it is written.

    Its `synthetic` says that the result does not show a real patient. Its `parameters` hold what `--json` needs to
    run again. anatomy: the label map, if one was given.
    """
    settings = parameters.to_dict()
    settings |= {name: getattr(common, name) for name in ("device", "precision", "runtime", "roi")}
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
        "computed": describe_computation(model),
        "parameters": settings,
        "source": describe_volume(sources[0]),
        "further_sources": [describe_volume(source) for source in sources[1:]],
        "anatomy": describe_volume(anatomy) if anatomy is not None else None,
        "versions": versions(),
    }


def describe_computation(model: Model) -> dict:
    """Device, precision and runtime that a model computes with; after a run, the runtimes that it needed. Where the
    precision was chosen by measurement, what was measured.
    """
    return {
        "device": str(model.device),
        "precision": str(model.dtype).removeprefix("torch."),
        "precision_chosen": str(model.timing) if model.timing else "by hand",
        "runtime": " and ".join(model.runtimes),
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
    """The description of a volume for the provenance: geometry and a checksum of the voxels (C order, little endian);
    nothing that names a patient.
    """
    voxels = np.ascontiguousarray(volume.voxels)
    return {
        "size": list(voxels.shape[::-1]),
        "spacing": list(volume.spacing),
        "origin": list(volume.origin),
        "direction": list(volume.direction),
        "voxel_type": str(voxels.dtype),
        "voxels_sha256": hashlib.sha256(voxels.astype(voxels.dtype.newbyteorder("<"), copy=False)).hexdigest(),
    }
