"""Read a lesion mask from a file: a mask, a segmentation of 3D Slicer in layers, DICOM SEG, organs beside it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...volumes.io import resample_labels_to
from ...volumes.volume import Volume
from ..classes import BODY
from .class_mapping import class_of, shorten
from .header_names import Segment
from .organ_folder import mask_files
from .reading import read_named
from .values import present, whole_labels


def read_lesion_mask(path: str | os.PathLike, like: Volume | None = None) -> Volume:
    """A lesion mask, 0 for the background, on the grid of `like` if that is given.

    Every label above 0 counts as lesion. Of several named segments those that are named after an organ are left out,
    with a warning, and the others count, in whichever layer they lie. InputError if all are organs, for a folder of
    several masks, if values are no labels, and if the lesion lies outside of `like`.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path.")
    if path.is_dir() and (files := mask_files(path)):
        names = shorten([file.name for file in files])
        raise InputError(f"{path} is a folder of {len(files)} masks ({names}): give the file of the lesion's mask.")
    layers, segments, beside = read_named(path)
    if beside.file and not beside.of_map and beside.file.name.lower() != "dataset.json":
        segments = []  # names of a folder's label maps, among which a lesion's mask may lie
    mask = _lesion([whole_labels(layer) for layer in layers], segments, path)
    return mask if like is None else resample_labels_to(mask, like)


def _lesion(layers: list[Volume], segments: list[Segment], path: Path) -> Volume:
    """The lesion's mask: the segments of all layers that are no organs."""
    present_values = [set(present(layer)) for layer in layers]
    segments = [s for s in segments if s.layer < len(layers) and s.value in present_values[s.layer]]
    organs = [s for s in segments if class_of(s) is not None and class_of(s) != BODY]
    named = {(s.layer, s.value) for s in segments}
    nameless = [f"label {v}" for i, values in enumerate(present_values) for v in values if (i, v) not in named]
    lesions = [s.name for s in segments if s not in organs] + nameless
    if organs and not lesions and len(organs) > 1:
        raise InputError(
            f"{path} holds organs ({shorten([s.name for s in organs])}) and no lesion, perhaps files are in the "
            "wrong order: give the lesion's mask."
        )
    mask = layers[0]
    if organs and lesions:
        mask = mask.with_warning(
            f"{path}: the lesion is {shorten(lesions)}; the organs in it ({shorten([s.name for s in organs])}) are "
            "left out."
        )
        layers = [_without(layer, [s.value for s in organs if s.layer == i]) for i, layer in enumerate(layers)]
        mask = mask.with_voxels(layers[0].voxels)
    elif organs:
        mask = mask.with_warning(f"{path}: the lesion's mask is called {organs[0].name}, which is an organ's name.")
    elif len(lesions) > 1 and segments:
        mask = mask.with_warning(f"{path}: {len(lesions)} segments count as lesion, {shorten(lesions)}.")
    if len(layers) > 1:
        drawn = np.any([layer.voxels > 0 for layer in layers], axis=0)
        mask = mask.with_voxels(drawn.astype(np.uint8))
    return mask


def _without(layer: Volume, values: list[int]) -> Volume:
    return layer.with_voxels(np.where(np.isin(layer.voxels, values), 0, layer.voxels).astype(layer.voxels.dtype))
