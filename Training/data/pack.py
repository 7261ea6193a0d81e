"""A training store in one small file, to carry it to a machine that can only be sent a few tens of megabytes.

HU are stored in steps of 0.4 of the scan's noise, which adds less than 1 % to it, as differences along x, air
outside the body evened out; a zip of bzip2 streams, nothing else to install. It only serves training: volumes do
not come back exactly.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from .store import CaseFacts, open_store, write_case

AIR_HU, LOWEST_HU, HIGHEST_HU = -1000, -1024, 1976


def pack(store: Path, file: Path, most_noise_hu: float = 35.0) -> tuple[list[str], list[str]]:
    """Write the training cases of `store` to `file`. Returns the names packed, and those left out as too noisy."""
    packed, skipped = [], []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_BZIP2) as archive:
        for case in open_store(store, "train"):
            facts = case.facts
            if facts.noise_hu > most_noise_hu:
                skipped.append(facts.name)
                continue
            step = max(1, round(0.4 * facts.noise_hu))
            labels = np.asarray(case.labels)
            hu = np.where(labels > 0, np.clip(case.hu, LOWEST_HU, HIGHEST_HU), AIR_HU).astype(np.int32)
            levels = (hu - LOWEST_HU + step // 2) // step
            record = asdict(facts) | {"step_hu": step, "shape": labels.shape}
            archive.writestr(f"{facts.name}/case.json", json.dumps(record))
            archive.writestr(f"{facts.name}/hu", _bytes(levels))
            archive.writestr(f"{facts.name}/labels", labels.tobytes())
            if case.lesion is not None:
                archive.writestr(f"{facts.name}/lesion", np.packbits(case.lesion).tobytes())
            packed.append(facts.name)
    return packed, skipped


def unpack(file: Path, store: Path) -> None:
    """Make a store of a packed file."""
    with zipfile.ZipFile(file) as archive:
        for name in (n for n in archive.namelist() if n.endswith("/case.json")):
            record = json.loads(archive.read(name))
            shape, step = record.pop("shape"), record.pop("step_hu")
            folder = name.removesuffix("case.json")
            labels = np.frombuffer(archive.read(folder + "labels"), np.uint8).reshape(shape)
            levels = _levels(archive.read(folder + "hu"), shape)
            hu = np.where(labels > 0, levels * step + LOWEST_HU, AIR_HU)
            lesion = None
            if folder + "lesion" in archive.namelist():
                bits = np.frombuffer(archive.read(folder + "lesion"), np.uint8)
                lesion = np.unpackbits(bits, count=labels.size).reshape(shape)
            write_case(store, "train", CaseFacts(**record), hu, labels, lesion)


def _bytes(levels: np.ndarray) -> bytes:
    """Differences along x, low bytes first and then the high bytes: most of those are 0 or 255, which compresses
    well.
    """
    difference = np.diff(levels.astype(np.int16), axis=2, prepend=np.int16(0))
    return np.ascontiguousarray(difference).view(np.uint8).reshape(-1, 2).T.tobytes()


def _levels(data: bytes, shape: list[int]) -> np.ndarray:
    pairs = np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(2, -1).T)
    return np.cumsum(pairs.view(np.int16).reshape(shape), axis=2, dtype=np.int32)
