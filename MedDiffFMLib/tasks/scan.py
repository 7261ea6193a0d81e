"""The analysis of a CT with which every task begins: its frame, body, region, HU window and organs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.ndimage import find_objects

from ..anatomy.body_regions import RegionSpan, crop_to_span, split_body, whole_scan
from ..anatomy.region_detection import detect_region
from ..anatomy.regions import REGIONS, Region
from ..anatomy.tissue import BodyImage
from ..models.loading import Model
from ..networks.conditions import Conditions
from ..progress import Reporter
from ..volumes.frame import AIR_HU, Frame, prepare
from ..volumes.intensity import to_hu, to_model
from ..volumes.volume import Volume


@dataclass(frozen=True)
class Scan:
    """A CT in the model's frame. image: the frame's with its body; window: the HU range scaled to [-1, 1]."""

    frame: Frame
    image: BodyImage
    region: Region
    window: tuple[float, float]

    @property
    def body(self) -> np.ndarray:
        """The body, bool (Z, Y, X)."""
        return self.image.body

    @property
    def x(self) -> np.ndarray:
        """The image in the model's range, float32 (Z, Y, X)."""
        return to_model(self.frame.hu, self.window)

    @property
    def air(self) -> float:
        """Air in the model's range."""
        return float(to_model(AIR_HU, self.window))

    @cached_property
    def body_box(self) -> list[tuple[slice, slice, slice]]:
        """The box that holds the body; none where all is air."""
        return find_objects(self.body.view(np.uint8))

    @property
    def voxels_in_box(self) -> int:
        """The number of voxels in the body's box."""
        return sum(self.body[box].size for box in self.body_box)

    def as_volume(self, x0: torch.Tensor) -> Volume:
        """An estimate (Z, Y, X) in the model's range as HU on the frame's grid, for a preview: what lies beyond the
        window is the scan's own.
        """
        low, high = self.window
        hu, estimate = self.frame.hu, to_hu(x0.cpu().numpy(), self.window)
        return self.frame.volume.with_voxels(np.where((hu > low) & (hu < high), estimate, hu))

    def conditions(self, model: Model, labels: np.ndarray, target: np.ndarray | None = None) -> Conditions:
        """The conditions of the whole volume. labels: what is known of its anatomy, uint8 (Z, Y, X)."""
        return Conditions(labels, self.region.index, model.network.config.encoding, target=target)

    def regions(self, labels: np.ndarray | None = None) -> list[RegionSpan]:
        """The spans of head-neck, chest and abdomen, where the scan shows more than one (see `split_body`); else the
        whole scan as its region. labels: the conditions' label map, which may hold organs.
        """
        spans = split_body(self.image, labels)
        return spans or [whole_scan(self.region, len(self.body))]

    def part(self, span: RegionSpan, windows_hu: dict[str, tuple[float, float]] | None = None) -> Scan:
        """The slices of a part as a scan of their own, whose position is its own too, as in training. Its frame is its
        source: `restore` knows only the part. windows_hu: other windows than the regions'.
        """
        frame = crop_to_span(self.frame.volume, span)
        window = (windows_hu or {}).get(span.region.name, span.region.window)
        return Scan(Frame(frame, frame), self.image.slices(span.z), span.region, window)

    def span_mm(self, span: RegionSpan) -> tuple[float, float]:
        """The lowest and highest end (superior positive) in mm of a span, without what it shares with others."""
        whole = self.frame.volume
        z = span.start + np.flatnonzero(span.weights >= 0.5)
        upwards = whole.spacing[2] * whole.direction[8]
        ends = (whole.origin[2] + upwards * (z[0] - 0.5), whole.origin[2] + upwards * (z[-1] + 0.5))
        return round(ends[0], 1), round(ends[1], 1)


def analyze_scan(
    volume: Volume,
    region_name: str,
    reporter: Reporter,
    spacing_mm: float | Sequence[float] | None = None,
    windows_hu: dict[str, tuple[float, float]] | None = None,
) -> Scan:
    """The analysis of a CT: prepared, with its body and, if `region_name` is "auto", its region found.

    spacing_mm: the grid to compute on, one spacing for all axes or (z, y, x); None for the scan's own.
    windows_hu: other windows than the regions'.
    """
    frame = prepare(volume, spacing_mm)
    reporter.heartbeat()
    image = BodyImage(frame.hu, frame.spacing)
    region = detect_region(image) if region_name == "auto" else REGIONS[region_name]
    reporter.heartbeat()
    return Scan(frame, image, region, (windows_hu or {}).get(region.name, region.window))
