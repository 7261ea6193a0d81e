"""Clean CT that no scanner made: "dead leaves" in 3D, with vessels, cortex, trabeculae and fasciae.

Bodies of random size, shape and tissue fall over one another; what is seen has the edges, sizes and contrasts of
anatomy, and no noise at all. Radii are drawn as r⁻³, which makes images alike at all scales (Lee, Mumford & Huang
2001). Each is painted into its own box, its rim weighted by how much of a voxel it fills.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from .leaf_shapes import Canvas, paint_ellipsoid, paint_sheet, paint_tube
from .leaf_textures import Textures
from .store import CaseFacts, write_case

# HU of tissues, mean and spread, and how often leaves are made of each in a volume where it is usual
TISSUES = {
    "air": (-1000.0, 5.0),
    "lung": (-840.0, 60.0),
    "fat": (-100.0, 15.0),
    "water": (5.0, 10.0),
    "soft": (45.0, 15.0),
    "organ": (90.0, 25.0),
    "contrast": (220.0, 70.0),
    "spongy": (280.0, 120.0),
    "cortex": (1000.0, 300.0),
    "metal": (2500.0, 300.0),
}
SCENES = {  # the shares of tissues among leaves: trunk, lungs, limbs, head
    "trunk": {"fat": 4, "water": 2, "soft": 5, "organ": 3, "contrast": 1, "spongy": 1, "air": 0.4, "metal": 0.02},
    "lungs": {"lung": 8, "soft": 1, "fat": 0.5, "contrast": 0.3, "air": 0.5, "spongy": 0.3},
    "limb": {"fat": 5, "soft": 6, "spongy": 1, "contrast": 0.4, "air": 0.3, "metal": 0.02},
    "head": {"soft": 6, "water": 2, "fat": 1, "spongy": 1, "air": 1, "contrast": 0.4, "metal": 0.02},
}
BACKGROUND = {"trunk": "fat", "lungs": "lung", "limb": "fat", "head": "soft"}
KINDS = {"ellipsoid": 0.7, "tube": 0.205, "shell": 0.015, "sheet": 0.08}
RADII_MM = (1.5, 60.0)
VESSELS_MM = (0.8, 6.0)  # diameters of tubes
CORTEX_MM = (1.0, 3.0)
SHEETS_MM = (0.5, 2.0)
SHELLS_MM = (6.0, 60.0)  # radii of bones
COVERAGE = 2.0  # how often each voxel is painted over, about
PIXELS_MM, SLICES_MM = (0.45, 1.3), (0.8, 5.0)
PSF_MM = (0.7, 1.8)  # full width at half maximum in plane
FINE_MM = 2.0  # slices are painted at most this far apart, then averaged over their profile


@dataclass(frozen=True)
class DeadLeaves:
    """A volume: hu float32 (Z, Y, X), spacing in mm (z, y, x)."""

    hu: np.ndarray
    spacing: tuple[float, float, float]


def dead_leaves(
    rng: np.random.Generator, shape: tuple[int, int, int], spacing: tuple[float, float, float]
) -> DeadLeaves:
    """A volume of leaves of `shape` (Z, Y, X), sharp as a scan of such voxels is."""
    scene = str(rng.choice(list(SCENES)))
    times = int(np.ceil(spacing[0] / FINE_MM))
    fine = (spacing[0] / times, *spacing[1:])
    size = (shape[0] * times, *shape[1:])
    canvas = Canvas(np.full(size, _hu(rng, BACKGROUND[scene]), np.float32), fine)
    textures, shares = Textures(rng), _varied(rng, SCENES[scene])
    volume, painted = np.prod([n * mm for n, mm in zip(size, fine, strict=True)]), 0.0
    while painted < COVERAGE * volume:
        painted += _paint_leaf(rng, canvas, shares, textures)
    return DeadLeaves(_as_scanned(rng, canvas.hu, fine, times), spacing)


def draw_spacing(rng: np.random.Generator) -> tuple[float, float, float]:
    """A spacing in mm (z, y, x) as scans have: pixels of 0.45 to 1.3 mm, slices every 0.8 to 5 mm."""
    pixel = rng.uniform(*PIXELS_MM)
    return float(np.exp(rng.uniform(*np.log(SLICES_MM)))), float(pixel), float(pixel)


def radius(rng: np.random.Generator, limits: tuple[float, float] = RADII_MM) -> float:
    """A radius in mm drawn with density r⁻³ between the limits."""
    low, high = (limit**-2.0 for limit in limits)
    return float((low + rng.random() * (high - low)) ** -0.5)


def _paint_leaf(rng: np.random.Generator, canvas: Canvas, shares: dict[str, float], textures: Textures) -> float:
    """Paint one leaf and return its volume in mm³."""
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    center = rng.uniform(0, 1, 3) * canvas.extent_mm
    tissue = _choice(rng, shares)
    if kind == "tube":
        tissue = str(rng.choice(["soft", "contrast", "fat", "water"], p=[0.45, 0.35, 0.1, 0.1]))
        return paint_tube(rng, canvas, center, radius(rng, VESSELS_MM) / 2, _hu(rng, tissue))
    if kind == "sheet":
        tissue = str(rng.choice(["soft", "fat", "water", "cortex"], p=[0.6, 0.2, 0.1, 0.1]))
        return paint_sheet(rng, canvas, center, rng.uniform(*SHEETS_MM), radius(rng, (8, 60)), _hu(rng, tissue))
    smallest = max(RADII_MM[0], 1.2 * canvas.spacing[0])  # smaller ones would vanish in so thick slices
    axes = radius(rng, SHELLS_MM if kind == "shell" else (smallest, RADII_MM[1])) * rng.uniform(0.4, 1.0, 3)
    if kind == "shell":
        filling = textures.trabeculae(rng, _hu(rng, str(rng.choice(["fat", "soft", "spongy"]))))
        return paint_ellipsoid(rng, canvas, center, axes, _hu(rng, "cortex"), rng.uniform(*CORTEX_MM), filling)
    texture = textures.grain(rng) if rng.random() < 1 / 3 and tissue not in ("air", "metal") else None
    return paint_ellipsoid(rng, canvas, center, axes, _hu(rng, tissue), texture=texture)


def _as_scanned(rng: np.random.Generator, hu: np.ndarray, fine: tuple[float, float, float], times: int) -> np.ndarray:
    """Blurred in plane by a point spread, and along z by a slice profile of up to twice the slices' distance."""
    sd = rng.uniform(*PSF_MM) / 2.355
    blurred = ndimage.gaussian_filter(hu, (0.0, sd / fine[1], sd / fine[2]), mode="nearest")
    overlap = rng.choice([1.0, 1.0, 1.5, 2.0])
    profile = np.ones(max(1, round(times * overlap)), np.float32)
    blurred = ndimage.convolve1d(blurred, profile / profile.sum(), axis=0, mode="nearest")
    return blurred[times // 2 :: times].clip(-1024, 3071)


def _varied(rng: np.random.Generator, shares: dict[str, float]) -> dict[str, float]:
    varied = {tissue: share * rng.lognormal(0, 0.5) for tissue, share in shares.items()}
    return {tissue: share / sum(varied.values()) for tissue, share in varied.items()}


def _choice(rng: np.random.Generator, shares: dict[str, float]) -> str:
    return str(rng.choice(list(shares), p=list(shares.values())))


def _hu(rng: np.random.Generator, tissue: str) -> float:
    """The HU of a leaf: its tissue's mean and spread, never further than two spreads."""
    mean, spread = TISSUES[tissue]
    return mean + spread * float(np.clip(rng.standard_normal(), -2, 2))


def write_volumes(store: Path, count: int, seed: int, shape: tuple[int, int, int] = (24, 144, 144)) -> None:
    """Fill a training store with volumes, each by its number and the seed; those that exist stay."""
    for number in range(count):
        name = f"leaves_{number:04d}"
        if (store / "train" / name).exists():
            continue
        rng = np.random.default_rng([seed, number])
        made = dead_leaves(rng, shape, draw_spacing(rng))
        facts = CaseFacts(name, name, "abdomen", made.spacing, noise_hu=0.0, placed=False)
        write_case(store, "train", facts, made.hu, np.ones(shape, np.uint8))
