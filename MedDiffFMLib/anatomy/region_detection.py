"""The region that a CT or a label map shows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .classes import BODY, BONE, GAS, label_number, label_numbers
from .regions import ABDOMEN, CHEST, HEAD_NECK, Region

if TYPE_CHECKING:
    from .tissue import BodyImage


def detect_region(image: BodyImage) -> Region:
    """The region that most of a scan shows.

    A head is narrow (a fifth of the slices covers less than 350 cm²) and bony (over 13 % of the body above 300 HU). A
    chest has lung in more than half of its slices (more than a twelfth of the body there). A neck is narrow with over
    5.5 % of bone. Anything else is an abdomen.

    The width of a body that is cut off by the field of view is unknown: an ellipse fills π/4 of the image that it just
    fits into, so one that fills more was cut off. Then lung decides before width and bone do: a heart full of contrast
    is above 300 HU too.
    """
    hu, spacing, body = image.hu, image.spacing, image.body
    areas = body.sum(axis=(1, 2))
    shown = areas > 0
    if not shown.any():
        return ABDOMEN
    narrow = float(np.percentile(areas[shown], 20)) * spacing[1] * spacing[2] / 100 < 350
    bone = np.mean(hu[body] > 300)
    lungs = image.lungs.sum(axis=(1, 2))
    chest = np.mean(lungs[shown] > areas[shown] / 12) > 0.5
    cut_off = np.mean(body[shown]) > math.pi / 4
    if narrow and bone > 0.13 and not (cut_off and chest):
        return HEAD_NECK
    if chest:
        return CHEST
    return HEAD_NECK if narrow and bone > 0.055 else ABDOMEN


LUNGS = label_numbers("lungs")
HEAD_AND_NECK = tuple(map(label_number, ("thyroid_gland", "brain", "skull", *(f"vertebrae_C{n}" for n in range(1, 8)))))


def region_of_labels(labels: np.ndarray) -> Region | None:
    """The region that most of a label map (Z, Y, X), axial slices first, shows; None if no organ indicates one.

    Chest and head or neck need more than half of the slices of the body, as in `region_detection.detect_region`.
    """
    shown = labels.any(axis=(1, 2))
    if not np.setdiff1d(np.unique(labels), (0, BODY, BONE, GAS)).size:
        return None
    area = (labels > 0).sum(axis=(1, 2))[shown]
    lungs = np.isin(labels, LUNGS).sum(axis=(1, 2))[shown]
    if np.mean(np.isin(labels, HEAD_AND_NECK).any(axis=(1, 2))[shown]) > 0.5:
        return HEAD_NECK
    return CHEST if np.mean(lungs > area / 12) > 0.5 else ABDOMEN
