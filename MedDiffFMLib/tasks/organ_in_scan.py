"""The organ that anomalies are looked for in: its labels, its voxels on the scan's own grid, and its region."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..anatomy.classes import BODY, BONE, GAS, LUNG, label_numbers
from ..errors import InputError
from ..volumes.volume import Volume
from .known_anatomy import KnownAnatomy
from .scan import Scan


def classes_of(organ: str, anatomy: Volume | str) -> tuple[int, ...]:
    """The labels of an organ or group. InputError if there is no such organ, or only a label map could show it."""
    classes = label_numbers(organ)
    known = isinstance(anatomy, Volume) or anatomy == "totalsegmentator"
    if not known and not {BODY, LUNG, BONE, GAS} & set(classes):
        raise InputError(
            f"The {organ} cannot be found by threshold: give a label map with --anatomy FILE, use --anatomy "
            "totalsegmentator if it is installed, or look at --organ body, lungs or bones."
        )
    return classes


def organ_on_input_grid(scan: Scan, organ: np.ndarray, classes: tuple[int, ...], known: KnownAnatomy) -> np.ndarray:
    """The organ on the input's grid, bool: the voxels of a given label map, and what was found where that is 0."""
    restored = scan.frame.restore(organ, outside=0) > 0.5
    if known.organs is None:
        return restored
    return np.where(known.organs.voxels > 0, np.isin(known.organs.voxels, classes), restored)


def at_the_organ(scan: Scan, organ: np.ndarray, labels: np.ndarray) -> Scan:
    """A whole-body scan with the region of the part that holds most of the organ."""
    span = max(scan.regions(labels), key=lambda span: int(organ[span.z].sum()))
    return replace(scan, region=span.region, window=span.region.window)
