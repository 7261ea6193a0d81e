"""Checks that a CT is fit for training: its HU scale, clipping and padding, where the body is cut, its grid and noise.

A CT that would teach something false is refused (`InputError`); what a lab should know is a warning. Thresholds are the
constants below; they let every CT pass that a radiologist would read, crops of a body too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from MedDiffFMLib.anatomy.regions import Region
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.checks import check_ct
from MedDiffFMLib.volumes.noise_level import estimate_noise
from MedDiffFMLib.volumes.volume import Volume

PADDING_HU = -1100  # below is no air, but what scanners write around a round field of view
AIR_HU, TISSUE_HU = (-1060, -880), (-140, 130)  # where the peaks of air and of soft tissue lie, fat to contrast
SMALLEST_MM, SMALL_MM = 32.0, 64.0  # along any axis: refused, warned
SMALLEST_SLICES = 8
THICKEST_MM, THICK_MM, COARSE_MM = 10.0, 6.0, 3.0  # slices refused, slices warned, pixels warned
NOISY_HU, SMOOTH_HU = 60.0, 2.0
CUT_SLICES = 0.2  # of the slices with a body cut by the field of view: warned
CUT_BORDER = 0.3  # of the image's border that is body, in the mean slice: the position in the body is unknown


@dataclass
class ScanQuality:
    """The measurements of a CT, in HU and mm (z, y, x), shares from 0 to 1; None where it is unknown.

    air_hu, tissue_hu: the peaks around and in the body. padding: share below −1100 HU. clipped_low, clipped_high:
    share of voxels, or of the body's, at the lowest and highest value. cut_slices: share of the slices whose body is
    cut by the field of view; cut_border: how much of the border is body. ends: whether the body goes on beyond the
    lowest and the highest slice.
    """

    size_mm: tuple[float, float, float]
    spacing: tuple[float, float, float]
    padding: float
    air_hu: float | None
    tissue_hu: float | None
    lowest_hu: float
    highest_hu: float
    clipped_low: float
    clipped_high: float
    cut_slices: float
    cut_border: float
    ends: tuple[bool, bool]
    noise_hu: float | None
    warnings: list[str] = field(default_factory=list)

    @property
    def placed(self) -> bool:
        """Whether the volume shows the region about to its skin, so that positions in it are meaningful."""
        return self.cut_border < CUT_BORDER


def remove_padding(volume: Volume) -> tuple[Volume, np.ndarray]:
    """A CT whose padding (below −1100 HU) has the lowest of its other values, and where it was: bool (z, y, x).

    InputError if it is no CT in HU: then padding hides it from `check_ct` no more.
    """
    check_ct(volume)
    padding = volume.voxels < PADDING_HU
    if padding.any():
        lowest = volume.voxels[~padding].min()
        volume = volume.with_voxels(np.where(padding, lowest, volume.voxels))
        check_ct(volume)
    return volume, padding


def examine(
    hu: np.ndarray, spacing: Sequence[float], body: np.ndarray, padding: np.ndarray, regions: Sequence[Region]
) -> ScanQuality:
    """Measure a CT (Z, Y, X) in RAS order on its own grid; bool `body` and `padding` of the same shape; the regions
    that it shows. InputError if it is unfit, with the reason.
    """
    _check_size(hu.shape, spacing)
    if not body.any():
        raise InputError("It shows no body: nothing in it is denser than -400 HU.")
    cut = _cut(body, padding)
    quality = ScanQuality(
        size_mm=tuple(round(n * s, 1) for n, s in zip(hu.shape, spacing, strict=True)),
        spacing=tuple(round(s, 4) for s in spacing),
        padding=_rounded(padding.mean()),
        air_hu=_peak(hu[~body & ~padding], hu.size // 20),
        tissue_hu=_peak(hu[body & (np.abs(hu - 50) < 250)], np.count_nonzero(body) // 20),
        lowest_hu=float(hu.min()),
        highest_hu=float(hu.max()),
        clipped_low=_rounded(np.mean((hu == hu.min()) & ~padding)),
        clipped_high=_rounded(np.mean(hu[body] == hu.max())),
        cut_slices=_rounded(cut[0]),
        cut_border=_rounded(cut[1]),
        ends=(bool(body[0].any()), bool(body[-1].any())),
        noise_hu=estimate_noise(hu, body, tuple(spacing)),
    )
    _check_scale(quality)
    _check_clipping(quality, regions)
    quality.warnings = _warnings(quality)
    return quality


def content_hash(hu: np.ndarray) -> str:
    """SHA-256 of a CT's voxels, equal whatever the file they came in: of int16 HU (Z, Y, X) in RAS order."""
    voxels = np.ascontiguousarray(np.clip(np.rint(hu), -1024, 3071).astype("<i2"))
    return hashlib.sha256(repr(voxels.shape).encode() + voxels.tobytes()).hexdigest()


def _check_size(shape: Sequence[int], spacing: Sequence[float]) -> None:
    extent = [n * s for n, s in zip(shape, spacing, strict=True)]
    if min(extent) < SMALLEST_MM or shape[0] < SMALLEST_SLICES:
        size = " × ".join(f"{mm:.0f}" for mm in extent[::-1])
        raise InputError(
            f"It is too small ({size} mm, {shape[0]} slices): give at least {SMALLEST_MM:.0f} mm along each axis and "
            f"{SMALLEST_SLICES} slices."
        )
    if spacing[0] > THICKEST_MM:
        raise InputError(f"Its slices are {spacing[0]:g} mm apart, more than {THICKEST_MM:g} mm: leave it out.")


def _check_scale(quality: ScanQuality) -> None:
    air, tissue = quality.air_hu, quality.tissue_hu
    if air is not None and not AIR_HU[0] <= air <= AIR_HU[1]:
        raise InputError(f"Its air is at {air:g} HU instead of about -1000: apply its rescale slope and intercept.")
    if tissue is None:
        raise InputError(
            "Hardly any of its body lies between -200 and 300 HU: it is not a CT in HU, or shows no patient."
        )
    if not TISSUE_HU[0] <= tissue <= TISSUE_HU[1]:
        raise InputError(
            f"Its soft tissue is at {tissue:g} HU, outside {TISSUE_HU[0]} to {TISSUE_HU[1]}: "
            "apply its rescale slope and intercept."
        )


def _check_clipping(quality: ScanQuality, regions: Sequence[Region]) -> None:
    """InputError if values that the model sees were clipped: within the HU window of a region."""
    low = max(-950.0, min(region.window[0] for region in regions))
    high = max(region.window[1] for region in regions)
    ends = ((quality.lowest_hu > low, quality.clipped_low > 0.01, quality.lowest_hu),)
    ends += ((quality.highest_hu < high, quality.clipped_high > 0.0005, quality.highest_hu),)
    for inside, many, end in ends:
        if inside and many:
            raise InputError(
                f"Its values were clipped at {end:g} HU, inside the region's window: give the original CT."
            )


def _warnings(quality: ScanQuality) -> list[str]:
    z, y, x = quality.spacing
    noise, cut = quality.noise_hu, quality.cut_slices
    found = {
        f"clipped at {quality.highest_hu:g} HU": quality.highest_hu < 2000 and quality.clipped_high > 0.0005,
        f"padding made air ({quality.padding:.0%})": quality.padding > 0,
        f"body cut by the field of view in {cut:.0%} of the slices": cut > CUT_SLICES,
        "place in the body unknown": not quality.placed,
        f"only {min(quality.size_mm):.0f} mm along an axis": min(quality.size_mm) < SMALL_MM,
        f"slices of {z:g} mm": z > THICK_MM,
        f"pixels of {max(x, y):g} mm": max(x, y) > COARSE_MM,
        "noise unknown": noise is None,
        f"noise of {noise or 0:.0f} HU": noise is not None and noise > NOISY_HU,
        f"as smooth as {noise or 0:.1f} HU": noise is not None and noise < SMOOTH_HU,
    }
    return [text for text, holds in found.items() if holds]


def _peak(values: np.ndarray, least: int) -> float | None:
    """The most frequent value, in steps of 10 HU; None of fewer than `least` values, or none."""
    if values.size <= least:
        return None
    start = 10 * np.floor(values.min() / 10)
    counts = np.bincount(((values - start) / 10).astype(np.int64).ravel())
    return float(start + 10 * np.argmax(ndimage.gaussian_filter1d(counts.astype(float), 1.0)) + 5)


def _cut(body: np.ndarray, padding: np.ndarray) -> tuple[float, float]:
    """Share of the slices with body that the field of view cuts, and how much of the image's border is body.

    The field of view ends at the image's border or, in a round one, where padding begins.
    """
    shown = body.any(axis=(1, 2))
    border = np.ones(body.shape[1:], bool)
    border[1:-1, 1:-1] = False
    touching = (body & border).sum(axis=(1, 2))
    if padding.any():
        beside = ndimage.binary_dilation(padding, np.ones((1, 3, 3)))
        touching += (body & beside & ~border).sum(axis=(1, 2))
    share = np.minimum(touching / border.sum(), 1)[shown]
    return float(np.mean(share > 0.01)), float(share.mean())


def _rounded(share: float) -> float:
    return round(float(share), 5)
