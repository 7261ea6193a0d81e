"""Training pairs: a CT with a lesion and the lesion's mask, written for `meddiff-fm train prepare`.

The files are numbered, because a node's name may be a patient's.
"""

import csv
import hashlib
import json
import os
import re
from pathlib import Path

import numpy as np
import slicer

from . import exchange
from .input_changes import segmentationKey
from .nrrd import writeNrrd

MANIFEST = "manifest.csv"
COLUMNS = ("path", "patient", "region", "anatomy", "lesion", "split")
KNOWN_REGIONS = ("head-neck", "chest", "abdomen")


def savePair(folder, volumeNode, lesionNode):
    """Write CT, mask and provenance into a folder and add a row to its manifest.csv, all or nothing.

    A generator that yields between small pieces of work; its return value is the CT's path. ValueError if the manifest
    has other columns; OSError if something cannot be written.
    """
    folder, record = Path(folder), exchange.provenanceOf(volumeNode)
    manifest, name = _rows(folder / MANIFEST), _freeName(folder)
    files = {suffix: folder / f"{name}{suffix}" for suffix in ("_ct.nrrd", "_mask.nrrd", ".json")}
    voxels, matrix = slicer.util.arrayFromVolume(volumeNode), exchange.ijkToRAS(volumeNode)
    parts = {key: path.with_name(f".{path.name}.part") for key, path in files.items()}
    written = []
    try:
        labels, _ = yield from exchange.exportLabels(lesionNode, volumeNode)
        yield from writeNrrd(parts["_ct.nrrd"], voxels, matrix, compress=True)
        mask = (labels > 0).astype(np.uint8)
        yield from writeNrrd(parts["_mask.nrrd"], mask, matrix, compress=True, segments={1: "Lesion"})
        parts[".json"].write_text(json.dumps(record, indent=2), encoding="utf-8")
        for key, path in files.items():
            os.replace(parts[key], path)
            written.append(path)
        patient = "synthetic-" + (yield from _digest(exchange.sourceOf(volumeNode) or volumeNode))
        facts = record.get("facts", {})
        region = facts.get("region") if facts.get("region") in KNOWN_REGIONS else "auto"
        row = [files["_ct.nrrd"].name, patient, region, "none", files["_mask.nrrd"].name, "train"]
        _write(folder / MANIFEST, [*manifest, dict(zip(COLUMNS, row, strict=True))])
    except BaseException:
        for path in (*parts.values(), *written):
            path.unlink(missing_ok=True)
        raise
    return files["_ct.nrrd"]


def _freeName(folder):
    """The next name lesion-NNNN that no file in the folder has."""
    matches = [re.match(r"lesion-(\d+)", path.name) for path in folder.glob("lesion-*")]
    number = max((int(match[1]) for match in matches if match), default=0) + 1
    return f"lesion-{number:04d}"


def _rows(manifest):
    """The rows of a manifest, none if there is no such file. ValueError if it is another table."""
    if not manifest.exists():
        return []
    with manifest.open(newline="", encoding="utf-8-sig") as file:
        table = csv.DictReader(file)
        rows, columns = list(table), table.fieldnames or []
    if not {"path", "patient", "region", "anatomy"} <= set(columns):
        raise ValueError(f"{manifest}")
    return rows


def _write(manifest, rows):
    """Replace the manifest by these rows, with all columns that they have; whole or not at all."""
    columns = list(dict.fromkeys([*COLUMNS, *(key for row in rows for key in row if key)]))
    part = manifest.with_name(f".{manifest.name}.part")
    try:
        with part.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, columns, restval="", extrasaction="ignore", lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
        os.replace(part, manifest)
    finally:
        part.unlink(missing_ok=True)


def _digest(node):
    """A digest of the node that the lesion was put into: the pseudonym of the patient of its lesions. Generator."""
    if not node.IsA("vtkMRMLVolumeNode"):
        return hashlib.sha256(repr(segmentationKey(node)).encode()).hexdigest()[:12]
    digest = hashlib.sha256()
    for layer in slicer.util.arrayFromVolume(node):
        digest.update(np.ascontiguousarray(layer).tobytes())
        yield
    return digest.hexdigest()[:12]
