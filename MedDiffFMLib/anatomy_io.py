"""Read anatomy that somebody made: label maps with the names of their labels, from the programs that make them.

Names come from the file itself (TotalSegmentator's NIfTI, a segmentation of 3D Slicer, DICOM SEG) or from a JSON file
{number: name} beside it: NAME.json for NAME.nii.gz, or labels.json for all files of a folder ({NAME: {number: name}}).
Without names, the numbers are taken for TotalSegmentator's.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .anatomy import LAST_LABEL
from .errors import InputError
from .label_names import Segment, names_in_nifti, segments_in_nrrd
from .organs import BODY, close_names, label_of
from .volume import Volume
from .volume_io import as_labels, onto_grid, read_layers, read_volume

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Anatomy(Volume):
    """A label map of the model's classes (0–121). made_by: where it comes from, in words; as_body: how many of its
    segments have names that no class has, and count as body.
    """

    made_by: str = "given"
    as_body: int = 0


def read_anatomy(path: str | os.PathLike, like: Volume | None = None) -> Anatomy:
    """A label map of the model's classes from a file or a DICOM SEG, on the grid of `like` if that is given.

    Names of its segments are translated to the classes' numbers; segments with other names (lesions, for example)
    become body, which is logged and counted. InputError if it is no label map, if none of its names is an organ's,
    if numbers without names are no classes, or if it lies outside of `like`.
    """
    path = Path(path)
    layers, segments = _read(path)
    if segments:
        labels, as_body = _translated(layers, segments, path)
    else:
        labels, as_body = as_labels(layers[0]), 0
        _check_numbers(labels, path)
    if like is not None:
        labels = onto_grid(labels, like)
    return Anatomy(**_fields(labels), as_body=as_body)


def anatomy_of(labels: Volume, made_by: str) -> Anatomy:
    """A label map of the model's classes with a word about who made it."""
    return Anatomy(**(_fields(labels) | {"made_by": made_by}))


def _fields(volume: Volume) -> dict:
    return {field.name: getattr(volume, field.name) for field in dataclasses.fields(volume)}


def _read(path: Path) -> tuple[list[Volume], list[Segment]]:
    """The layers of label values, and which value of which layer has which name (empty: no names)."""
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path.")
    if _is_dicom(path):
        from .dicom_seg import read_dicom_seg

        return read_dicom_seg(path)
    name = path.name.lower()
    if name.endswith(".nrrd") and (segments := segments_in_nrrd(path)):
        return read_layers(path), segments
    names = names_in_nifti(path) if name.endswith((".nii", ".nii.gz")) else {}
    names = names or _names_beside(path)
    return [read_volume(path)], [Segment(name, number) for number, name in names.items() if number]


def _is_dicom(path: Path) -> bool:
    if path.is_dir():
        return True
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def _names_beside(path: Path) -> dict[int, str]:
    """{number: name} from NAME.json, or from labels.json, which may hold several files by NAME (without _seg)."""
    stem = path.name.split(".")[0]
    for beside in (path.with_name(f"{stem}.json"), path.with_name("labels.json")):
        if beside.is_file():
            try:
                found = json.loads(beside.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            found = found if isinstance(found, dict) else {}
            for names in (found.get(stem), found.get(stem.removesuffix("_seg")), found):
                if isinstance(names, dict) and names and all(str(key).isdecimal() for key in names):
                    return {int(key): str(name) for key, name in names.items()}
    return {}


def _translated(layers: list[Volume], segments: list[Segment], path: Path) -> tuple[Volume, int]:
    """One label map of the model's classes, and how many of the segments in it became body.

    Where segments overlap, organs go before segments without a class, and the last of them before the others.
    """
    layers = [as_labels(layer) for layer in layers]
    present = [set(np.unique(layer.voxels).tolist()) - {0} for layer in layers]
    segments = [s for s in segments if s.layer < len(layers) and s.value in present[s.layer]]
    named = {(s.layer, s.value) for s in segments}
    nameless = [Segment(f"label {v}", v, i) for i, some in enumerate(present) for v in some if (i, v) not in named]
    classes = {s: next((c for n in s.names if (c := label_of(n)) is not None), None) for s in segments}
    unknown = [s for s, number in classes.items() if number is None]
    if len(unknown) == len(segments) and (unknown or nameless):
        raise InputError(_no_organ(path, [*unknown, *nameless]))
    result = np.zeros(layers[0].voxels.shape, np.uint8)
    for i, layer in enumerate(layers):
        for some, over in (((*unknown, *nameless), False), (classes, True)):
            table = np.zeros(int(layer.voxels.max()) + 1, np.uint8)
            for s in some:
                if s.layer == i:
                    table[s.value] = classes.get(s) or (0 if over else BODY)
            drawn = table[layer.voxels]
            result = np.where((drawn > 0) & (over | (result == 0)), drawn, result)
    others = [s.name for s in (*unknown, *nameless)]
    if others:
        log.warning("%s: no class of the model is called %s; counted as body.", path, ", ".join(others))
    return layers[0].with_voxels(result), len(others)


def _no_organ(path: Path, unknown: list[Segment]) -> str:
    shown = ", ".join(repr(s.name) for s in unknown[:5]) + (", …" if len(unknown) > 5 else "")
    near = sorted({name for s in unknown for n in s.names for name in close_names(n)})[:5]
    hint = f" (near: {', '.join(near)})" if near else ""
    return (
        f"{path} names no organ that the model knows, only {shown}: "
        f"name its segments as TotalSegmentator does, for example liver{hint}."
    )


def _check_numbers(labels: Volume, path: Path) -> None:
    highest = int(labels.voxels.max())
    if highest > LAST_LABEL:
        raise InputError(
            f"{path} holds labels up to {highest} without names, and the model's classes end at {LAST_LABEL}: give "
            f'TotalSegmentator\'s numbers, or the names in {path.name.split(".")[0]}.json, as {{"1": "liver"}}.'
        )
