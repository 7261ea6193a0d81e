"""A label map painted in each organ's usual HU: what synthesis may begin from in place of pure noise.

The reverse process then starts at some t < T from x_t = √ᾱ_t·paint + √(1 − ᾱ_t)·z (SDEdit, Meng et al. 2022): the paint
says how dense an organ is, the network adds what a CT has besides.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk
import torch
from scipy import ndimage

from ..anatomy.classes import BODY, BONE, label_numbers
from ..anatomy.reference_hu import AIR, BONE_OF_A_HEAD, FAT, SOFT_TISSUE, USUAL_HU
from ..anatomy.regions import HEAD_NECK, Region
from ..inference.levels import Level, level_of, resample
from ..volumes.intensity import to_hu, to_model

SKIN_FAT_MM = 12.0  # by training volumes: within it most of the unlabeled body is fat, deeper in most is not
ROUNDING = 1e-3  # mm², of a squared distance in float32
EDGE_MM = 1.0  # σ of the painted edges
MUSCLES = label_numbers("muscles")


def render_labels(labels: np.ndarray, spacing: tuple[float, float, float], region: Region) -> np.ndarray:
    """The image of a label map (uint8, Z, Y, X; spacing (z, y, x) in mm) in usual HU: float32, air where it is 0.

    Other body (118) is fat within 12 mm of the skin. Deeper it is soft tissue, or, in a map that names muscles, fat:
    then what lies between the organs has been named. The volume's border is no skin.
    """
    table = np.full(256, AIR, np.float32)
    table[list(USUAL_HU)] = list(USUAL_HU.values())
    if region == HEAD_NECK:
        table[BONE] = BONE_OF_A_HEAD
    hu, other = table[labels], labels == BODY
    named = np.isin(labels, MUSCLES).any()
    hu[other] = FAT if named else np.where(_near_skin(labels > 0, spacing)[other], FAT, SOFT_TISSUE)
    return hu


def _near_skin(body: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The voxels within 12 mm of the nearest one outside the body, bool (Z, Y, X). The volume's border is no skin."""
    if body.all():
        return np.zeros(body.shape, bool)
    outside = sitk.GetImageFromArray(np.pad(~body, 1, mode="edge").view(np.uint8))
    outside.SetSpacing(spacing[::-1])
    distance = sitk.SignedMaurerDistanceMap(outside, False, True, True)  # squared, in mm², negative outside
    return sitk.GetArrayViewFromImage(distance)[1:-1, 1:-1, 1:-1] <= SKIN_FAT_MM**2 + ROUNDING


@dataclass(frozen=True)
class HuTemplate:
    """A painted label map. hu: float32 (Z, Y, X) with hard edges; spacing (z, y, x) in mm."""

    hu: np.ndarray
    spacing: tuple[float, float, float]
    window: tuple[float, float]
    _painted: dict[Level, np.ndarray] = field(default_factory=dict, init=False, repr=False, compare=False)

    def at(self, level: Level) -> np.ndarray:
        """The painted HU at a level's samples, which are kept until another level is asked for. Edges are as soft as
        its voxels are wide, 1 mm (σ) at least: no staircase shows.
        """
        if level not in self._painted:
            self._painted.clear()
            self._painted[level] = self._paint(level)
        return self._painted[level]

    def _paint(self, level: Level) -> np.ndarray:
        sigma = [max(EDGE_MM, d * s / 2) / s for d, s in zip(level.step, self.spacing, strict=True)]
        soft = torch.from_numpy(ndimage.gaussian_filter(self.hu, sigma, mode="nearest"))
        return resample(soft, self._own, level).numpy()

    def textured(self, x0: np.ndarray, level: Level) -> np.ndarray:
        """The synthesized HU on the label map's own grid: the paint, and what x_0 (a level's, in the model's range)
        adds to it there.

        So the edges are the label map's own, and what lies beyond the HU window, as lungs in an abdomen, keeps its HU.
        """
        within = to_hu(to_model(self.at(level), self.window), self.window)
        added = torch.from_numpy(to_hu(x0, self.window) - within)
        return self._paint(self._own) + resample(added, level, self._own).numpy()

    @property
    def _own(self) -> Level:
        return level_of("own", self.hu.shape, self.spacing, 0)
