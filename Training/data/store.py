"""The training store: a folder of CT volumes ready for random crops.

One folder a case: `hu.npy` (int16, (z, y, x), RAS order, the scan's own grid), `labels.npy` (uint8, organs, elsewhere
what `find_tissue` finds), `lesion.npy` (bool, where lesions are marked) and `case.json`. Crops are read from memory
maps, so that only the voxels of a crop are touched.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from MedDiffFMLib.errors import InputError


@dataclass(frozen=True)
class CaseFacts:
    """What a case is. `spacing` is (z, y, x) in mm; `placed`: the volume shows its whole region, so positions hold."""

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
        record = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        self.facts = CaseFacts(**record | {"spacing": tuple(record["spacing"])})

    @cached_property
    def hu(self) -> np.ndarray:
        return np.load(self.folder / "hu.npy", mmap_mode="r")

    @cached_property
    def labels(self) -> np.ndarray:
        return np.load(self.folder / "labels.npy", mmap_mode="r")

    @cached_property
    def lesion(self) -> np.ndarray | None:
        path = self.folder / "lesion.npy"
        return np.load(path, mmap_mode="r") if path.exists() else None

    @cached_property
    def lesion_voxels(self) -> np.ndarray:
        """Indices (N, 3) of the lesion's voxels; none if no lesion is marked."""
        return np.argwhere(self.lesion) if self.lesion is not None else np.empty((0, 3), int)

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
    """The cases of one split ("train", "validation"), sorted by name. InputError if there are none."""
    cases = [Case(p.parent) for p in sorted((Path(folder) / split).glob("*/case.json"))]
    if not cases:
        raise InputError(f"There are no prepared cases in {Path(folder) / split}: run meddiff-fm train prepare first.")
    return cases


def write_case(
    folder: Path, split: str, facts: CaseFacts, hu: np.ndarray, labels: np.ndarray, lesion: np.ndarray | None = None
) -> None:
    """Write one case: hu (z, y, x) in RAS order as int16, labels on the same grid as uint8, lesion as bool."""
    target = Path(folder) / split / facts.name
    target.mkdir(parents=True, exist_ok=True)
    np.save(target / "hu.npy", hu.astype(np.int16))
    np.save(target / "labels.npy", labels.astype(np.uint8))
    if lesion is not None and lesion.any():
        np.save(target / "lesion.npy", lesion.astype(bool))
    (target / "case.json").write_text(json.dumps(asdict(facts), indent=1))
