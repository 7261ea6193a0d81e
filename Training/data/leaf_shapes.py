"""The shapes of dead leaves, painted into a volume: ellipsoids with or without a shell, curved tubes, sheets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

ALONG = ((-1, 1, 1), (1, -1, 1), (1, 1, -1))  # shapes of lines along z, y, x
Filling = Callable[[tuple[slice, ...]], np.ndarray]  # HU, or what is added to them, in a box of the volume


@dataclass(frozen=True)
class Canvas:
    """A volume to paint on: hu (Z, Y, X), spacing in mm (z, y, x)."""

    hu: np.ndarray
    spacing: tuple[float, float, float]

    @property
    def extent_mm(self) -> np.ndarray:
        return np.array(self.hu.shape) * self.spacing

    def box(self, center: np.ndarray, reach: np.ndarray | float) -> tuple[slice, ...] | None:
        """The voxels within `reach` mm of a point (mm) along each axis; None if there are none."""
        low = np.maximum(np.floor((center - reach) / self.spacing), 0).astype(int)
        high = np.minimum(np.ceil((center + reach) / self.spacing) + 1, self.hu.shape).astype(int)
        return tuple(map(slice, low, high)) if (high > low).all() else None

    def offsets(self, box: tuple[slice, ...], center: np.ndarray) -> list[np.ndarray]:
        """Distances in mm from a point along z, y, x, ready to be broadcast over the box."""
        lines = [np.arange(s.start, s.stop) * mm - c for s, mm, c in zip(box, self.spacing, center, strict=True)]
        return [line.astype(np.float32).reshape(shape) for shape, line in zip(ALONG, lines, strict=True)]

    def paint(self, box: tuple[slice, ...], depth: np.ndarray, hu: float | np.ndarray) -> None:
        """Paint where a shape is `depth` mm deep (negative: outside); half a voxel around its rim is mixed."""
        share = np.clip(depth / self.spacing[1] + 0.5, 0, 1)
        self.hu[box] += share * (hu - self.hu[box])


def paint_ellipsoid(
    rng: np.random.Generator,
    canvas: Canvas,
    center: np.ndarray,
    axes: np.ndarray,
    hu: float,
    shell_mm: float | None = None,
    texture: Filling | None = None,
) -> float:
    """An ellipsoid of half axes `axes` mm, turned at random; with `shell_mm` a shell of `hu` around a filling. Returns
    its volume in mm³. texture: added to hu, or with a shell the HU of what it encloses.
    """
    volume = 4 / 3 * np.pi * float(np.prod(axes))
    box = canvas.box(center, float(axes.max()) + 1)
    if box is None:
        return volume
    turned = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix().astype(np.float32) / axes[:, None]
    z, y, x = canvas.offsets(box, center)
    squares = sum(np.square(row[0] * z + row[1] * y + row[2] * x) for row in turned.astype(np.float32))
    distance = np.sqrt(squares)
    depth = (1 - distance) * float(axes.min())  # a lower bound along the long axes: the rim is right, its width near
    if shell_mm is None:
        canvas.paint(box, depth, hu if texture is None else hu + texture(box))
        return volume
    canvas.paint(box, depth, hu)
    canvas.paint(box, depth - shell_mm, hu if texture is None else texture(box))
    return volume


def paint_tube(rng: np.random.Generator, canvas: Canvas, center: np.ndarray, radius_mm: float, hu: float) -> float:
    """A vessel: a curved tube of `radius_mm` through a point, tapering to half. Returns its volume in mm³."""
    length, pieces = min(100.0, radius_mm * rng.uniform(15, 60)), 8
    heading = _unit(rng.standard_normal(3))
    point, volume = np.array(center), 0.0
    for piece in range(pieces):
        thick = radius_mm * (1 - 0.5 * piece / pieces)
        ahead = point + heading * length / pieces
        _paint_capsule(canvas, point, ahead, thick, hu)
        volume += np.pi * thick**2 * length / pieces
        point, heading = ahead, _unit(heading + 0.35 * rng.standard_normal(3))
    return volume


def _paint_capsule(canvas: Canvas, start: np.ndarray, end: np.ndarray, radius_mm: float, hu: float) -> None:
    middle, half = (start + end) / 2, (end - start) / 2
    box = canvas.box(middle, np.abs(half) + radius_mm + 1)
    if box is None:
        return
    z, y, x = canvas.offsets(box, middle)
    along = (half[0] * z + half[1] * y + half[2] * x) / max(float(half @ half), 1e-6)
    along = np.clip(along, -1, 1).astype(np.float32)
    gaps = (np.square(offset - np.float32(h) * along) for offset, h in zip((z, y, x), half, strict=True))
    canvas.paint(box, radius_mm - np.sqrt(sum(gaps)), hu)


def paint_sheet(
    rng: np.random.Generator, canvas: Canvas, center: np.ndarray, thick_mm: float, reach_mm: float, hu: float
) -> float:
    """A fascia: a bent disc of a radius, `thick_mm` thick. Returns its volume in mm³."""
    volume = float(np.pi * reach_mm**2 * thick_mm)
    box = canvas.box(center, reach_mm)
    if box is None:
        return volume
    frame = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix().astype(np.float32)
    z, y, x = canvas.offsets(box, center)
    across, first, second = (row[0] * z + row[1] * y + row[2] * x for row in frame)
    bend = rng.uniform(-0.3, 0.3, 2) / reach_mm
    height = np.abs(across - np.float32(bend[0]) * first**2 - np.float32(bend[1]) * second**2)
    canvas.paint(box, np.minimum(thick_mm / 2 - height, reach_mm - np.hypot(first, second)), hu)
    return volume


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
