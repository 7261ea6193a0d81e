"""The regions of a whole-body scan: head-neck, chest and abdomen, each computed as an image of its own and joined
without a seam (paper, IV-A2).

Neighbors share some centimeters around the cut, in which one fades into the other as cos².
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..volumes.volume import Volume
from .classes import label_numbers
from .regions import ABDOMEN, CHEST, HEAD_NECK, Region
from .tissue import LUNG_LABEL, BodyImage

FADE_MM = 40.0  # length of the overlap
SHORTEST_MM = 80.0  # a chest CT shows up to 7 cm of the abdomen and 5 cm of the neck, and is none the less a chest CT
LUNG_SHARE = 1 / 12  # of the body in a slice of the chest
SMALLEST_LUNGS_CM2 = 50.0  # mean area in a chest; sinuses and noise in fat look like lung too, but stay far below

# What only one region has; vessels, muscles and the spine run through. Upwards, as the slices.
_UPWARDS = (ABDOMEN, CHEST, HEAD_NECK)
_ORGANS = {
    "abdomen": "spleen kidney gallbladder liver stomach pancreas adrenal_gland bowel urinary_bladder prostate sacrum"
    " vertebrae_L1 vertebrae_L2 vertebrae_L3 vertebrae_L4 vertebrae_L5 iliopsoas hip femur",
    "chest": "lung_left lung_right heart sternum atrial_appendage_left pulmonary_vein superior_vena_cava",
    "head-neck": "brain skull vertebrae_C1 vertebrae_C2 vertebrae_C3 vertebrae_C4 vertebrae_C5 vertebrae_C6",
}
_LOBES = (*label_numbers("lung_left"), *label_numbers("lung_right"))


@dataclass(frozen=True)
class RegionSpan:
    """Slices start … stop − 1 of a scan, as one region. weights: float32 (stop − start), how much this part counts in
    each of its slices; over all parts they sum to 1.
    """

    region: Region
    start: int
    stop: int
    weights: np.ndarray

    @property
    def z(self) -> slice:
        """The slices as an index."""
        return slice(self.start, self.stop)

    def times(self, factor: int) -> RegionSpan:
        """This span in a scan whose every slice was split into `factor` slices."""
        return RegionSpan(self.region, self.start * factor, self.stop * factor, self.weights.repeat(factor))


def whole_scan(region: Region, slices: int) -> RegionSpan:
    """The span that holds all slices of a scan of one region."""
    return RegionSpan(region, 0, slices, np.ones(slices, np.float32))


def split_body(image: BodyImage, labels: np.ndarray | None = None) -> list[RegionSpan]:
    """The parts of a scan from the feet up, if it clearly shows more than one region; else nothing.

    labels: the model's classes where organs are known, (Z, Y, X). Each slice is for the region whose organs fill it
    most, or without lungs among the labels for the chest where a twelfth of the body is lung. The two cuts are those
    that contradict the fewest slices. Only beside a chest of at least 80 mm there are other parts, and they have at
    least 80 mm of body themselves.
    """
    lungs = image.lungs if labels is None else image.lungs | np.isin(labels, _LOBES)
    return _split(lungs, image.spacing, image.body, labels)


def split_labels(labels: np.ndarray, spacing: tuple[float, float, float]) -> list[RegionSpan]:
    """The parts of a label map (Z, Y, X) without its CT, as `split_body`: what is labeled lung counts as such."""
    return _split(np.isin(labels, (*_LOBES, LUNG_LABEL)), spacing, labels > 0, labels)


def region_at(
    lesion: np.ndarray, labels: np.ndarray, spacing: tuple[float, float, float], default: Region | None
) -> Region | None:
    """The region of the part of a label map (Z, Y, X) that holds most of a lesion, bool of the same shape; `default`
    where the map shows no more than one region.
    """
    parts = split_labels(labels, spacing)
    return max(parts, key=lambda part: int(lesion[part.z].sum())).region if parts else default


def _split(
    lungs: np.ndarray, spacing: tuple[float, float, float], body: np.ndarray, labels: np.ndarray | None
) -> list[RegionSpan]:
    first, last = _best_cuts(_contradictions(lungs, body, labels, spacing))
    shown = body.any(axis=(1, 2))

    def length(start: int | None, stop: int | None) -> float:
        return float(shown[start:stop].sum() * spacing[0])

    if length(first, last) < SHORTEST_MM:
        return []
    if lungs[first:last].sum() * spacing[1] * spacing[2] / 100 < SMALLEST_LUNGS_CM2 * max(shown[first:last].sum(), 1):
        return []
    edges = [0, first if length(0, first) >= SHORTEST_MM else 0]
    edges += [last if length(last, len(body)) >= SHORTEST_MM else len(body), len(body)]
    extents = [(r, a, b) for r, a, b in zip(_UPWARDS, edges[:-1], edges[1:], strict=True) if b > a]
    return _faded(extents, spacing[0]) if len(extents) > 1 else []


def _contradictions(
    lungs: np.ndarray, body: np.ndarray, labels: np.ndarray | None, spacing: tuple[float, float, float]
) -> np.ndarray:
    """The evidence against each slice being abdomen, chest, head-neck: (Z, 3), from 0 to 1."""
    chest = lungs.sum(axis=(1, 2)) > np.maximum(body.sum(axis=(1, 2)) * LUNG_SHARE, 1)
    against = np.stack([chest, ~chest & body.any(axis=(1, 2)), chest], axis=1).astype(float)
    if labels is not None and np.isin(labels, _LOBES).any():
        area = np.stack([np.isin(labels, _numbers(region)).sum(axis=(1, 2)) for region in _UPWARDS], axis=1)
        total = area.sum(axis=1, keepdims=True)
        known = total[:, 0] * spacing[1] * spacing[2] > 100  # 1 cm²
        against[known] = 1 - area[known] / total[known]
    return against


def _numbers(region: Region) -> list[int]:
    return [number for name in _ORGANS[region.name].split() for number in label_numbers(name)]


def _best_cuts(against: np.ndarray) -> tuple[int, int]:
    """First ≤ last: abdomen below slice `first`, chest from there to below `last`, head-neck above, with the smallest
    sum of contradictions.
    """
    abdomen, chest, head = np.vstack([np.zeros(3), np.cumsum(against, axis=0)]).T
    below, above = abdomen - chest, chest - head
    best_below = np.minimum.accumulate(below)
    last = int(np.argmin(best_below + above))
    return int(np.argmin(below[: last + 1])), last


def _faded(extents: Sequence[tuple[Region, int, int]], spacing: float) -> list[RegionSpan]:
    """Neighboring parts, each longer by half the overlap on both sides of a cut, with their weights."""
    slices = extents[-1][2]
    half = max(1, round(FADE_MM / 2 / spacing))
    center = np.arange(slices) + 0.5
    # how much lies above each cut: 0, then sin² (cos² from above), then 1
    above = [np.sin(np.clip((center - cut) / (2 * half) + 0.5, 0, 1) * np.pi / 2) ** 2 for _, cut, _ in extents[1:]]
    above = [np.ones(slices), *above, np.zeros(slices)]
    parts = []
    for i, (region, start, stop) in enumerate(extents):
        first, last = max(0, start - half * (i > 0)), min(slices, stop + half * (i < len(extents) - 1))
        weights = (above[i] - above[i + 1])[first:last].astype(np.float32)
        parts.append(RegionSpan(region, first, last, weights))
    return parts


def crop_to_span(whole: Volume, span: RegionSpan) -> Volume:
    """The slices of a region as a volume at its place in space. whole: axial slices first, in RAS order."""
    origin = np.asarray(whole.origin) + span.start * whole.spacing[2] * np.reshape(whole.direction, (3, 3))[:, 2]
    return replace(whole, voxels=whole.voxels[span.z], origin=tuple(origin.tolist()))


class RegionBlender:
    """The values of a whole scan, put together from those of its regions as a weighted mean.

    The sum is such that where all regions agree, or only one lies, the value is exact to the last bit. values: float32
    (Z, Y, X) of the whole scan.
    """

    def __init__(self, shape: tuple[int, int, int]):
        self.values = np.zeros(shape, np.float32)
        self._so_far = np.zeros(shape[0], np.float32)

    def add(self, span: RegionSpan, values: np.ndarray) -> None:
        """Blend in what a region makes of its slices, float32 (stop − start, Y, X)."""
        self._so_far[span.z] += span.weights
        fraction = span.weights / np.maximum(self._so_far[span.z], np.finfo(np.float32).tiny)
        self.values[span.z] += fraction[:, None, None] * (values - self.values[span.z])
