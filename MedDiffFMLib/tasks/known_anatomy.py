"""The known anatomy of a CT: organs that were given, or that TotalSegmentator finds, or nothing but tissue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..anatomy.label_maps.reading import Anatomy
from ..anatomy.segmenter import choose_mode, find_organs
from ..anatomy.tissue import BODY_LABEL, LAST_LABEL, complete_labels, find_tissue
from ..errors import InputError
from ..parameters import ANATOMY_WORDS
from ..volumes.volume import Volume

if TYPE_CHECKING:
    import torch

    from ..progress import Reporter
    from .scan import Scan


@dataclass(frozen=True)
class KnownAnatomy:
    """The known anatomy: organs (a label map on the CT's grid, or None) and, without them, the word for what takes
    their place.

    word: "auto" (the body by threshold), "threshold" (body, lungs, bones and gas), "none" (the model is not conditioned
    on anatomy).
    """

    organs: Volume | None = None
    word: str = "auto"

    def labels(self, scan: Scan) -> np.ndarray:
        """The label map that the model is conditioned with, uint8 (Z, Y, X) on the scan's frame: given organs, and the
        rest of the body around them.
        """
        if self.organs is not None:
            return complete_labels(scan.frame.labels(self.organs), scan.body)
        if self.word == "none":
            return np.zeros(scan.body.shape, np.uint8)
        if self.word == "threshold":
            return find_tissue(scan.image)
        return complete_labels(None, scan.body)

    def __str__(self) -> str:
        """The anatomy in words for the provenance: auto, none, threshold, totalsegmentator or given, and what
        became of a label map.
        """
        if self.organs is None:
            return self.word
        known = isinstance(self.organs, Anatomy)
        words = [self.organs.made_by if known else "given"]
        if self.organs.resampled:
            words.append("resampled")
        if known and self.organs.as_body:
            words.append(f"{self.organs.as_body} names of no class counted as body")
        return ", ".join(words)


def check_anatomy(anatomy: Volume | str, volume: Volume) -> None:
    """Check the anatomy that is asked for: InputError unless it is a label map of the model's classes on the volume's
    grid, or a word of `ANATOMY_WORDS` that can be done: for totalsegmentator, package and weights must be installed.
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


def resolve_anatomy(
    anatomy: Volume | str, volume: Volume, reporter: Reporter, device: torch.device, for_estimate: bool = False
) -> KnownAnatomy:
    """The known anatomy of a volume. anatomy: as accepted by `check_anatomy`.

    TotalSegmentator runs here on `device` if the word asks for it, and sends heartbeats to the reporter; for an
    estimate the body alone takes the place of its organs.
    """
    if isinstance(anatomy, Volume):
        return KnownAnatomy(anatomy)
    if anatomy != "totalsegmentator":
        return KnownAnatomy(word=anatomy)
    return KnownAnatomy() if for_estimate else KnownAnatomy(find_organs(volume, device, reporter.heartbeat))
