"""What every task finds out about a CT before it computes: its frame, body, region, HU window and organs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..anatomy import BODY_LABEL, LAST_LABEL, body_mask, complete_labels
from ..conditions import Conditions
from ..errors import InputError
from ..models import Model
from ..prepare import AIR_HU, Prepared, prepare
from ..progress import Reporter
from ..regions import REGIONS, Region, detect_region, to_hu, to_model
from ..volume import Volume


@dataclass(frozen=True)
class Scan:
    """A CT in the model's frame. body: bool (Z, Y, X); window: the HU range scaled to [-1, 1]."""

    frame: Prepared
    body: np.ndarray
    region: Region
    window: tuple[float, float]

    @property
    def x(self) -> np.ndarray:
        """The image in the model's range, float32 (Z, Y, X)."""
        return to_model(self.frame.hu, self.window)

    @property
    def air(self) -> float:
        """Air in the model's range."""
        return float(to_model(AIR_HU, self.window))

    def as_volume(self, x0: torch.Tensor) -> Volume:
        """An estimate (Z, Y, X) in the model's range as HU on the frame's grid, for a preview: what lies beyond the
        window is the scan's own.
        """
        low, high = self.window
        hu, estimate = self.frame.hu, to_hu(x0.cpu().numpy(), self.window)
        return self.frame.frame.with_voxels(np.where((hu > low) & (hu < high), estimate, hu))

    def conditions(self, model: Model, anatomy: Volume | str, target: np.ndarray | None = None) -> Conditions:
        """The conditions of the whole volume (see `anatomy_labels` for `anatomy`)."""
        labels = anatomy_labels(self, anatomy)
        return Conditions(labels, self.region.index, model.network.config.position_frequencies, target=target)


def look_at(
    volume: Volume,
    region_name: str,
    reporter: Reporter,
    spacing_mm: float | None = None,
    windows_hu: dict[str, tuple[float, float]] | None = None,
) -> Scan:
    """Prepare a CT and find its body and, if `region_name` is "auto", its region.

    spacing_mm: the isotropic grid to compute on, None for the scan's own. windows_hu: other windows than the regions'.
    """
    frame = prepare(volume, spacing_mm)
    reporter.tick()
    body = body_mask(frame.hu)
    reporter.tick()
    region = detect_region(frame.hu, frame.spacing, body) if region_name == "auto" else REGIONS[region_name]
    return Scan(frame, body, region, (windows_hu or {}).get(region.name, region.window))


def check_anatomy(anatomy: Volume | str, volume: Volume) -> None:
    """InputError unless `anatomy` is a label map of the model's classes on the volume's grid, "auto" or "none"."""
    if isinstance(anatomy, str):
        if anatomy not in ("auto", "none"):
            raise InputError(f"anatomy cannot be {anatomy!r}: give auto, none, or a label map read with read_labels.")
        return
    name = anatomy.source or "The label map"
    if not anatomy.same_grid(volume):
        raise InputError(f"{name} is not on the CT's grid: read it with read_labels(path, like=CT).")
    low, high = int(anatomy.voxels.min()), int(anatomy.voxels.max())
    if low < 0 or high > LAST_LABEL:
        raise InputError(
            f"{name} holds labels from {low} to {high}, the model knows 0 to {LAST_LABEL}: "
            f"give TotalSegmentator's class numbers ({BODY_LABEL} for any other part of the body)."
        )


def anatomy_labels(scan: Scan, anatomy: Volume | str) -> np.ndarray:
    """The label map of the conditions: given organs and the rest of the body, the body alone ("auto"), or nothing."""
    if isinstance(anatomy, str) and anatomy == "none":
        return np.zeros(scan.body.shape, np.uint8)
    return complete_labels(scan.frame.labels(anatomy) if isinstance(anatomy, Volume) else None, scan.body)


def anatomy_in_words(anatomy: Volume | str) -> str:
    """For the provenance: auto, none, given, or given and resampled."""
    if isinstance(anatomy, str):
        return anatomy
    return "given, resampled" if anatomy.resampled else "given"
