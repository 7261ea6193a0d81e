"""Augmentation of pre-training crops, so that few patients show more: zoom, mirror images, scaled HU.

A body mirrored along x is a body too: left and right change their labels, and their places. Organs lie on one side,
so the share of mirrored crops is set by region.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from MedDiffFMLib.anatomy.classes import ORGANS

from .crop import Crop
from .crop_config import CropConfig


def _other_sides() -> np.ndarray:
    """The label of the other side, by label (256,): that of `kidney_left` is `kidney_right`'s."""
    numbers = {name: number for number, name in ORGANS.items()}
    table = np.arange(256, dtype=np.uint8)
    for number, name in ORGANS.items():
        swapped = name.replace("_left", "_?").replace("_right", "_left").replace("_?", "_right")
        table[number] = numbers.get(swapped, number)
    table[numbers["lung_middle_lobe_right"]] = numbers["lung_upper_lobe_left"]  # where the left one's lingula is
    return table


OTHER_SIDE = _other_sides()


def draw_zoom(rng: np.random.Generator, config: CropConfig, level: str) -> float:
    """Draw the factor by which a crop's box is larger: log-uniform in `zoom`; 1 for the levels `image` and `own`."""
    least, most = config.zoom
    if least == most == 1 or level not in ("double", "patch"):
        return 1.0
    return float(np.exp(rng.uniform(np.log(least), np.log(most))))


def draw_gain(rng: np.random.Generator, config: CropConfig) -> float:
    """Draw the factor that a crop's HU are multiplied by: 1 ± `hu_gain`."""
    return 1 + float(rng.uniform(-1, 1)) * config.hu_gain if config.hu_gain else 1.0


def is_mirrored(rng: np.random.Generator, config: CropConfig, region: str) -> bool:
    """Draw whether a crop of a region is mirrored."""
    share = dict(config.mirrored).get(region, 0.0)
    return share > 0 and bool(rng.random() < share)


def mirror(crop: Crop) -> Crop:
    """The crop of the patient mirrored along x: image, labels and position, with left and right organs exchanged."""
    px, py, pz = crop.axes
    labels = torch.from_numpy(OTHER_SIDE)[crop.labels.flip(-1).long()]
    covered = None if crop.covered is None else crop.covered.flip(-1)
    return replace(crop, x0=crop.x0.flip(-1), axes=(-px.flip(0), py, pz), labels=labels, covered=covered)
