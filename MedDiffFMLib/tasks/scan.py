"""What every task finds out about a CT before it computes: its frame, body, region, HU window and organs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import find_objects

from ..anatomy.body_regions import BodyPart, split_body, whole_scan
from ..anatomy.label_maps.reading import Anatomy
from ..anatomy.region_detection import detect_region
from ..anatomy.regions import REGIONS, Region
from ..anatomy.segmenter import choose_mode, find_organs
from ..anatomy.tissue import BODY_LABEL, LAST_LABEL, body_mask, complete_labels, find_tissue
from ..errors import InputError
from ..models.loading import Model
from ..networks.conditions import Conditions
from ..parameters import ANATOMY_WORDS
from ..progress import Reporter
from ..volumes.frame import AIR_HU, Prepared, prepare
from ..volumes.intensity import to_hu, to_model
from ..volumes.volume import Volume
from .by_region import part_of


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

    def body_box(self) -> list[tuple[slice, slice, slice]]:
        """The box that holds the body; none where all is air."""
        return find_objects(self.body.view(np.uint8))

    @property
    def voxels_in_box(self) -> int:
        """Of the body's box."""
        return sum(self.body[box].size for box in self.body_box())

    def as_volume(self, x0: torch.Tensor) -> Volume:
        """An estimate (Z, Y, X) in the model's range as HU on the frame's grid, for a preview: what lies beyond the
        window is the scan's own.
        """
        low, high = self.window
        hu, estimate = self.frame.hu, to_hu(x0.cpu().numpy(), self.window)
        return self.frame.frame.with_voxels(np.where((hu > low) & (hu < high), estimate, hu))

    def conditions(
        self, model: Model, anatomy: Volume | str | np.ndarray, target: np.ndarray | None = None
    ) -> Conditions:
        """The conditions of the whole volume. anatomy: as of `anatomy_labels`, or what that gave."""
        labels = anatomy if isinstance(anatomy, np.ndarray) else anatomy_labels(self, anatomy)
        return Conditions(labels, self.region.index, model.network.config.position_frequencies, target=target)

    def parts(self, labels: np.ndarray | None = None) -> list[BodyPart]:
        """Head-neck, chest and abdomen, where the scan shows more than one (see `split_body`); else the whole scan as
        its region. labels: the conditions' label map, which may hold organs.
        """
        found = split_body(self.frame.hu, self.frame.spacing, self.body, labels)
        return found or [whole_scan(self.region, len(self.body))]

    def part(self, part: BodyPart, windows_hu: dict[str, tuple[float, float]] | None = None) -> Scan:
        """The slices of a part as a scan of their own, whose position is its own too, as in training. Its frame is its
        source: `restore` knows only the part. windows_hu: other windows than the regions'.
        """
        frame = part_of(self.frame.frame, part)
        window = (windows_hu or {}).get(part.region.name, part.region.window)
        return Scan(Prepared(frame, frame), self.body[part.z], part.region, window)

    def span_mm(self, part: BodyPart) -> tuple[float, float]:
        """The lowest and highest end (superior positive) in mm of a part, without what it shares with others."""
        whole = self.frame.frame
        mine = part.start + np.flatnonzero(part.weights >= 0.5)
        upwards = whole.spacing[2] * whole.direction[8]
        ends = (whole.origin[2] + upwards * (mine[0] - 0.5), whole.origin[2] + upwards * (mine[-1] + 0.5))
        return round(ends[0], 1), round(ends[1], 1)


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
    """InputError unless `anatomy` is a label map of the model's classes on the volume's grid, or a word of
    `ANATOMY_WORDS` that can be done: for totalsegmentator, package and weights must be here.
    """
    if isinstance(anatomy, str):
        if anatomy not in ANATOMY_WORDS:
            words = ", ".join(ANATOMY_WORDS)
            raise InputError(f"anatomy cannot be {anatomy!r}: give {words}, or a label map read with read_anatomy.")
        if anatomy == "totalsegmentator":
            choose_mode()
        return
    name = anatomy.source or "The label map"
    if not anatomy.same_grid(volume):
        raise InputError(f"{name} is not on the CT's grid: read it with read_anatomy(path, like=CT).")
    low, high = int(anatomy.voxels.min()), int(anatomy.voxels.max())
    if low < 0 or high > LAST_LABEL:
        raise InputError(
            f"{name} holds labels from {low} to {high}, the model knows 0 to {LAST_LABEL}: "
            f"give TotalSegmentator's class numbers ({BODY_LABEL} for any other part of the body)."
        )


def find_anatomy(anatomy: Volume | str, volume: Volume, reporter: Reporter, device: torch.device) -> Volume | str:
    """The organs of `volume` by TotalSegmentator if `anatomy` says so, else `anatomy` itself.

    reporter: is told that the task is alive meanwhile, and may stop it. device: where it runs.
    """
    if isinstance(anatomy, Volume) or anatomy != "totalsegmentator":
        return anatomy
    return find_organs(volume, device, reporter.tick)


def anatomy_labels(scan: Scan, anatomy: Volume | str) -> np.ndarray:
    """The label map of the conditions, uint8 (Z, Y, X): given organs and the rest of the body; the body alone ("auto");
    body, lungs, bones and gas ("threshold"); nothing ("none"). TotalSegmentator's organs are given ones: `find_anatomy`
    puts them in the word's place.
    """
    if isinstance(anatomy, str) and anatomy == "none":
        return np.zeros(scan.body.shape, np.uint8)
    if isinstance(anatomy, str) and anatomy == "threshold":
        return find_tissue(scan.frame.hu, scan.frame.spacing, scan.body)
    return complete_labels(scan.frame.labels(anatomy) if isinstance(anatomy, Volume) else None, scan.body)


def anatomy_in_words(anatomy: Volume | str) -> str:
    """For the provenance: auto, none, threshold, totalsegmentator, or given; and what became of a label map."""
    if isinstance(anatomy, str):
        return anatomy
    words = [anatomy.made_by if isinstance(anatomy, Anatomy) else "given"]
    if anatomy.resampled:
        words.append("resampled")
    if isinstance(anatomy, Anatomy) and anatomy.as_body:
        words.append(f"{anatomy.as_body} names of no class counted as body")
    return ", ".join(words)
