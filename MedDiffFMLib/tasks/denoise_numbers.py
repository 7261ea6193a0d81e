"""What denoising did to a scan, in three numbers: noise, its grain, and the change of HU.

All are measured in the scan itself, at several strengths; the truth is not known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..volumes.noise_level import estimate_noise, sampled_slices
from ..volumes.noise_power import noise_power
from .strength import mix

EDGE = 16  # pixels of the regions that grain is measured in
LEAST_REGIONS, MOST_REGIONS, EVENEST = 8, 200, 1 / 3
SOFT_HU = (-150.0, 220.0)
TISSUES_HU = {"lung": (-950.0, -600.0), "fat": (-140.0, -60.0), "soft": (0.0, 90.0), "bone": (250.0, 1500.0)}
LEAST_VOXELS = 1000


@dataclass(frozen=True)
class DenoiseNumbers:
    """The numbers by strength, {"0": …, "70": …}, None where they cannot be measured.

    noise_hu: see `estimate_noise`; grain_per_mm: the mean frequency of the noise, lower is coarser; change_hu: the mean
    change of each of `TISSUES_HU` that the scan shows, at full strength: at k % it is k % of that.
    """

    noise_hu: dict[str, float | None]
    grain_per_mm: dict[str, float | None]
    change_hu: dict[str, float]


def denoise_numbers(
    before: np.ndarray,
    full: np.ndarray,
    body: np.ndarray,
    spacing: tuple[float, float, float],
    strengths: list[float],
    noise_before_hu: float | None,
) -> DenoiseNumbers:
    """The numbers of a scan and its result at full strength, in 40 of its slices if there are more.

    before, full: HU (Z, Y, X); spacing: mm (z, y, x); strengths: in percent; noise_before_hu: as it was measured.
    """
    z = sampled_slices(len(full))  # the others would be mixed in vain
    before, full, body = before[z], full[z], body[z]
    places = even_places(full, body)
    noise, grain = {"0": noise_before_hu}, {"0": grain_of(before, places, spacing[1])}
    for one in strengths:
        mixed = mix(before, full, one)
        noise[f"{one:g}"] = estimate_noise(mixed, body, spacing)
        grain[f"{one:g}"] = grain_of(mixed, places, spacing[1])
    return DenoiseNumbers(noise, grain, tissue_changes(before, full, body))


def even_places(hu: np.ndarray, body: np.ndarray) -> list[tuple[int, int, int]]:
    """The corners (z, y, x) of the most even squares of `EDGE` pixels of soft tissue in a scan without noise, none of
    which overlap; at most 200.
    """
    found = []
    for z in range(len(hu)):
        squares, inside = in_squares(hu[z].astype(np.float32)), in_squares(body[z])
        mean, spread = squares.mean(axis=(2, 3)), squares.std(axis=(2, 3))
        soft = inside.all(axis=(2, 3)) & (mean > SOFT_HU[0]) & (mean < SOFT_HU[1])
        found += [(float(spread[y, x]), z, int(y) * EDGE, int(x) * EDGE) for y, x in np.argwhere(soft)]
    wanted = min(max(LEAST_REGIONS, round(EVENEST * len(found))), MOST_REGIONS)
    return [place for _, *place in sorted(found)[:wanted]] if len(found) >= LEAST_REGIONS else []


def in_squares(image: np.ndarray) -> np.ndarray:
    """An image (Y, X) as squares (rows, columns, EDGE, EDGE); what is left over at its ends is left out."""
    rows, columns = (n // EDGE for n in image.shape)
    cut = image[: rows * EDGE, : columns * EDGE]
    return cut.reshape(rows, EDGE, columns, EDGE).swapaxes(1, 2)


def grain_of(hu: np.ndarray, places: list[tuple[int, int, int]], pixel_mm: float) -> float | None:
    """The mean frequency in 1/mm of what differs from a plane in the squares at some places: noise, and some anatomy.
    Squares are small, so that coarse noise counts as finer than it is: it is for comparisons of the same squares. None
    without a place, or if nothing differs.
    """
    if not places:
        return None
    squares = np.stack([hu[z, y : y + EDGE, x : x + EDGE] for z, y, x in places]).astype(np.float64)
    rest = less_plane(squares)
    return noise_power(rest, pixel_mm).mean_frequency if rest.std() > 1e-3 else None


def less_plane(squares: np.ndarray) -> np.ndarray:
    """Squares (n, N, N) less the plane that fits each best."""
    axis = np.linspace(-1, 1, squares.shape[-1])
    slopes = axis / np.square(axis).sum() / len(axis)
    rest = squares - squares.mean(axis=(1, 2), keepdims=True)
    along_y, along_x = (rest.sum(axis=other) @ slopes for other in (2, 1))
    return rest - along_y[:, None, None] * axis[:, None] - along_x[:, None, None] * axis


def tissue_changes(before: np.ndarray, after: np.ndarray, body: np.ndarray) -> dict[str, float]:
    """The mean change in HU of each tissue by its HU after, away from its edges; tissues of few voxels are left out."""
    sums = {name: (0.0, 0) for name in TISSUES_HU}
    for one, other, inside in zip(before, after, body, strict=True):  # by slices, which need little memory
        for name, (low, high) in TISSUES_HU.items():
            tissue = ndimage.binary_erosion(inside & (other > low) & (other < high))
            change, count = sums[name]
            change += float((other[tissue].astype(np.float64) - one[tissue]).sum())
            sums[name] = change, count + int(np.count_nonzero(tissue))
    return {name: change / count for name, (change, count) in sums.items() if count >= LEAST_VOXELS}
