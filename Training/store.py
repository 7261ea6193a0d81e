"""The training store: a folder of CT volumes ready for random crops.

One folder a case: `hu.npy` (int16, (z, y, x), RAS order, the scan's own grid), `labels.npy` (uint8, 118 = other
body) and `case.json`. Crops are read from memory maps, so that only the voxels of a crop are touched.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MedDiffFMLib.anatomy import complete_labels

# Names of the data folder's masks that are not TotalSegmentator's, and what they are there (117 classes, v2).
TRAINING_SPLIT_FILE = Path(__file__).with_name("split.json")


@dataclass(frozen=True)
class CaseFacts:
    """What a case is. `spacing` is (z, y, x) in mm; `whole` the frame of the position; None where it is not known."""

    name: str
    patient: str
    region: str
    spacing: tuple[float, float, float]
    noise_hu: float
    placed: bool


class Case:
    """One volume of a store, its arrays memory-mapped."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.facts = CaseFacts(**json.loads((folder / "case.json").read_text()))

    @cached_property
    def hu(self) -> np.ndarray:
        return np.load(self.folder / "hu.npy", mmap_mode="r")

    @cached_property
    def labels(self) -> np.ndarray:
        return np.load(self.folder / "labels.npy", mmap_mode="r")

    @cached_property
    def body_box(self) -> tuple[tuple[int, int], ...]:
        """First and last+1 index of the body along z, y and x."""
        body = np.asarray(self.labels) > 0
        box = []
        for axis in range(3):
            hit = np.flatnonzero(body.any(axis=tuple(a for a in range(3) if a != axis)))
            box.append((int(hit[0]), int(hit[-1]) + 1) if len(hit) else (0, body.shape[axis]))
        return tuple(box)


def open_store(folder: Path, split: str) -> list[Case]:
    """The cases of one split ("train", "validation"), sorted by name. ValueError if there are none."""
    cases = [Case(p.parent) for p in sorted((Path(folder) / split).glob("*/case.json"))]
    if not cases:
        raise ValueError(f"no prepared cases in {Path(folder) / split}: run 'meddiff-fm train prepare' first")
    return cases


def add_case(folder: Path, split: str, facts: CaseFacts, image: sitk.Image, labels: sitk.Image | None) -> None:
    """Write one case: oriented to RAS on its own grid, the unlabelled body marked 118."""
    target = Path(folder) / split / facts.name
    target.mkdir(parents=True, exist_ok=True)
    hu = sitk.GetArrayFromImage(sitk.DICOMOrient(image, "RAS")).astype(np.int16)
    given = np.zeros(hu.shape, np.uint8)
    if labels is not None:
        given = sitk.GetArrayFromImage(sitk.DICOMOrient(labels, "RAS")).astype(np.uint8)
    np.save(target / "hu.npy", hu)
    np.save(target / "labels.npy", complete_labels(given, hu))
    (target / "case.json").write_text(json.dumps(asdict(facts), indent=1))
