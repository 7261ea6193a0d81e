"""Can a label map's numbers be the model's classes? By the size and side of organs, and by the HU below them.

MAISI, AMOS, FLARE and TotalSegmentator's first version number organs otherwise: read as the model's classes, a vertebra
of theirs has the size of a lung, or a lung lies in the liver. The bounds are far beyond what disease does.
"""

from __future__ import annotations

import numpy as np

from ...volumes.volume import Volume
from ..classes import BODY, LUNG, ORGANS, label_numbers

# ml at most, for whole names or the beginnings of names
_LARGEST_ML = {
    "adrenal_gland": 100,
    "gallbladder": 600,
    "pancreas": 700,
    "esophagus": 500,
    "trachea": 300,
    "thyroid_gland": 600,
    "duodenum": 600,
    "prostate": 800,
    "sacrum": 800,
    "vertebrae_C": 80,
    "vertebrae_T": 150,
    "vertebrae_L": 250,
    "vertebrae_S": 250,
    "pulmonary_vein": 500,
    "brachiocephalic": 150,
    "subclavian": 120,
    "common_carotid": 100,
    "atrial_appendage": 150,
    "superior_vena_cava": 200,
    "inferior_vena_cava": 500,
    "portal_vein": 300,
    "iliac_": 300,
    "humerus": 900,
    "scapula": 600,
    "clavicula": 200,
    "spinal_cord": 250,
    "gluteus_minimus": 600,
    "rib_": 150,
    "sternum": 400,
}
_SIDED = ("kidney_left", "adrenal", "lung_", "humerus", "scapula", "clavicula", "femur", "hip", "gluteus", "autochthon")
_LEFT = ("spleen", *(n for n in ORGANS.values() if n.startswith(_SIDED) and "_left" in n))
_RIGHT = ("kidney_right", *(n for n in ORGANS.values() if n.startswith(_SIDED) and "_right" in n))
_SOLID = (
    *("spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "pancreas", "heart", "aorta", "brain", "sacrum"),
    *(n for n in ORGANS.values() if n.startswith(("vertebrae", "femur", "hip", "gluteus", "autochthon", "iliopsoas"))),
)
_WRONG_WAY_MM = 10.0
_LEAST_ML, _LEAST_VOXELS = 1.0, 200
_AIR_HU, _TISSUE_HU = -200.0, -100.0  # medians: of no solid organ below the first, of no lungs above the second
_SAMPLE = 4_000_000  # voxels that centers and medians are taken from


def odd_for_numbers(labels: Volume) -> str:
    """The reason why a label map's numbers cannot be the model's classes; empty if there is none."""
    counts = np.bincount(labels.voxels.ravel(), minlength=BODY)
    ml = counts * float(np.prod(labels.spacing)) / 1000
    for number, name in ORGANS.items():
        most = next((most for begin, most in _LARGEST_ML.items() if name.startswith(begin)), None)
        if most is not None and number < ml.size and ml[number] > most:
            return f"label {number} has {ml[number]:.0f} ml and would be {name}"
    return _wrong_side(labels, ml)


def _wrong_side(labels: Volume, ml: np.ndarray) -> str:
    """The first pair of organs that lie on each other's side, in words; empty if there is none."""
    where, numbers = _sample_labeled(labels.voxels)
    index = np.stack(np.unravel_index(where, labels.voxels.shape)[::-1])  # x, y, z
    leftwards = (np.reshape(labels.direction, (3, 3)) * labels.spacing)[0] @ index  # LPS: the patient's left
    count = np.maximum(np.bincount(numbers, minlength=ml.size), 1)
    center = np.bincount(numbers, leftwards, minlength=ml.size) / count
    organs = {ORGANS[n]: n for n in range(1, min(BODY, ml.size)) if ml[n] >= _LEAST_ML}
    for left in (name for name in _LEFT if name in organs):
        for right in (name for name in _RIGHT if name in organs):
            if center[organs[right]] - center[organs[left]] > _WRONG_WAY_MM:
                return f"label {organs[left]} would be {left} and lies to the right of label {organs[right]}, {right}"
    return ""


def odd_for_hu(labels: Volume, ct: Volume) -> str:
    """The reason why a label map cannot belong to this CT, on whose grid it is; empty if there is none."""
    where, numbers = _sample_labeled(labels.voxels)
    hu = ct.voxels.reshape(-1)[where]
    for name in _SOLID:
        inside = hu[numbers == label_numbers(name)[0]]
        if inside.size >= _LEAST_VOXELS and (median := float(np.median(inside))) < _AIR_HU:
            return f"the {name} lies in air or lung (median {median:.0f} HU)"
    lungs = hu[np.isin(numbers, (*label_numbers("lungs"), LUNG))]
    if lungs.size >= _LEAST_VOXELS and (median := float(np.median(lungs))) > _TISSUE_HU:
        return f"the lungs lie in soft tissue (median {median:.0f} HU)"
    return ""


def _sample_labeled(voxels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices of labeled voxels, evenly chosen where there are many, and their labels."""
    where = np.flatnonzero(voxels)
    where = where[:: max(1, where.size // _SAMPLE)]
    return where, voxels.reshape(-1)[where]
