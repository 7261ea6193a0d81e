"""Scenes to measure image quality in: a phantom, or a patient's slices, with places to plant discs and inserts in.

What is planted is known, and so is the scene without it: the difference of both images is the plant alone, whatever
lies around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.volume import Volume

FINE = 4  # subpixels of what is planted
PSF_MM = 1.0  # full width at half maximum of the blur of what is planted
WATER_HU, AIR_HU, PHANTOM_MM, RING_MM = 40.0, -1000.0, 170.0, 52.0
PHANTOM_PIXELS, PLACES = 192, 8
OWN_SEED = 0x1A9E
REGION = 32  # pixels of a measured region
SOFT_HU, EVEN_MM, APART_MM = (0.0, 120.0), 9.0, 24.0


@dataclass(frozen=True)
class Scene:
    """A slab of axial slices, float32 HU, and places (y, x) in pixels with even soft tissue around."""

    name: str
    region: str
    plain: Volume
    places: list[tuple[int, int]]

    @property
    def pixel_mm(self) -> float:
        """The size of a pixel."""
        return self.plain.spacing[0]

    def disc(self, place: tuple[int, int], diameter_mm: float) -> np.ndarray:
        """A blurred disc of height 1 in one slice, (Y, X)."""
        image = np.zeros(self.plain.voxels.shape[1:], np.float32)
        half = REGION // 2
        image[tuple(slice(c - half, c + half) for c in place)] = disc_patch(diameter_mm, self.pixel_mm)
        return image

    def cut(self, images: np.ndarray, place: tuple[int, int]) -> np.ndarray:
        """The region (Z, N, N) about a place."""
        half = REGION // 2
        return images[:, place[0] - half : place[0] + half, place[1] - half : place[1] + half]


def disc_patch(diameter_mm: float, pixel_mm: float) -> np.ndarray:
    """A disc of height 1 about pixel N/2 of a region (N, N), blurred by `PSF_MM` and averaged over each pixel."""
    fine = (np.arange(REGION * FINE) + 0.5) / FINE - 0.5 - REGION // 2
    disc = (np.hypot(fine[:, None], fine) * pixel_mm < diameter_mm / 2).astype(np.float32)
    blurred = ndimage.gaussian_filter(disc, PSF_MM / 2.355 / pixel_mm * FINE)
    return blurred.reshape(REGION, FINE, REGION, FINE).mean(axis=(1, 3))


def phantom(slices: int, pixel_mm: float = 1.0) -> Scene:
    """A cylinder of even soft tissue in air; the places lie on a ring. It has 1 HU of noise of its own, as an area of
    one value is padding and no tissue.
    """
    middle = PHANTOM_PIXELS / 2 - 0.5
    axis = (np.arange(PHANTOM_PIXELS * FINE) + 0.5) / FINE - 0.5 - middle
    inside = (np.hypot(axis[:, None], axis) * pixel_mm < PHANTOM_MM / 2).astype(np.float32)
    inside = ndimage.gaussian_filter(inside, PSF_MM / 2.355 / pixel_mm * FINE)
    share = inside.reshape(PHANTOM_PIXELS, FINE, PHANTOM_PIXELS, FINE).mean(axis=(1, 3))
    hu = AIR_HU + share * (WATER_HU - AIR_HU)
    own = np.random.default_rng(OWN_SEED).normal(0, 1, (slices, *hu.shape))
    voxels = (hu + own).astype(np.float32)
    turn = 2 * np.pi * np.arange(PLACES) / PLACES
    ring = np.rint(middle + RING_MM / pixel_mm * np.stack([np.sin(turn), np.cos(turn)], axis=1)).astype(int)
    volume = Volume(voxels, (pixel_mm, pixel_mm, 3.0), source="phantom", in_hu=True)
    return Scene("phantom", "abdomen", volume, [tuple(map(int, place)) for place in ring])


def patient(name: str, region: str, slab: Volume) -> Scene:
    """A patient's slab with the places where its soft tissue is most even, through all slices. InputError if there are
    fewer than four.
    """
    mean, pixel, half = slab.voxels.mean(axis=0), slab.spacing[0], REGION // 2
    soft = (slab.voxels > SOFT_HU[0]) & (slab.voxels < SOFT_HU[1])
    width = 2 * round(EVEN_MM / pixel) + 1
    share = ndimage.uniform_filter(soft.mean(axis=0), width)
    smooth = ndimage.gaussian_filter(mean, 2)
    spread = np.sqrt(
        np.maximum(ndimage.uniform_filter(smooth**2, width) - ndimage.uniform_filter(smooth, width) ** 2, 0)
    )
    cost = np.where(share > 0.97, spread, np.inf)
    cost[:half] = cost[-half:] = cost[:, :half] = cost[:, -half:] = np.inf
    places: list[tuple[int, int]] = []
    y, x = np.indices(cost.shape)
    while len(places) < PLACES and np.isfinite(cost.min()):
        place = tuple(map(int, np.unravel_index(cost.argmin(), cost.shape)))
        places.append(place)
        cost[np.hypot(y - place[0], x - place[1]) * pixel < APART_MM] = np.inf
    if len(places) < 4:
        raise InputError(f"{name} has even soft tissue in {len(places)} places only, too few to plant discs in.")
    return Scene(name, region, slab, places)
