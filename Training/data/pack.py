"""A training store in one small file, to carry it to a machine that can only be sent a few tens of megabytes.

HU are stored in steps of 0.4 of the scan's noise, which adds less than 1 % to it, as differences along x, air
outside the body evened out; a zip of bzip2 streams. It only serves training: volumes do not come back exactly.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from MedDiffFMLib.errors import InputError

from .store import Case, CaseFacts, Place, open_store, write_boxes

LOWEST_HU, HIGHEST_HU = -1024, 1976


def pack(store: Path, file: Path, most_noise_hu: float = 35.0) -> tuple[list[str], list[str]]:
    """Write the training cases of `store` to `file`, whole or not at all, in place of what is there. Returns the names
    packed, and those left out as too noisy. InputError if none is left, or the file cannot be written.
    """
    cases = open_store(store, "train")
    packed = [case for case in cases if case.facts.noise_hu <= most_noise_hu]
    if not packed:
        raise InputError(f"Every case of {store} has more noise than {most_noise_hu:g} HU: allow more (--most-noise).")
    file = Path(file)
    if file.is_dir() or not file.parent.is_dir():
        raise InputError(f"{file} cannot be written: name a file in a folder that exists.")
    part = file.with_name(f"{file.name}.part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_BZIP2) as archive:
            for case in packed:
                _pack_case(archive, case)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return [c.facts.name for c in packed], [c.facts.name for c in cases if c not in packed]


def unpack(file: Path, store: Path) -> None:
    """Make a store of a packed file. InputError if it is none."""
    try:
        with zipfile.ZipFile(file) as archive:
            records = [name for name in archive.namelist() if name.endswith("/case.json")]
            if not records:
                raise zipfile.BadZipFile("no case in it")
            for name in records:
                _unpack_case(archive, name.removesuffix("case.json"), store)
    except (OSError, zipfile.BadZipFile) as error:
        if isinstance(error, OSError) and Path(file).is_file():
            raise  # the store's disk
        raise InputError(f"{file} is not a packed store ({error}): name a file that `train pack` wrote.") from None


def _pack_case(archive: zipfile.ZipFile, case: Case) -> None:
    facts, labels = case.facts, case.labels.box()
    step = max(1, round(0.4 * facts.noise_hu))
    record = asdict(facts) | {"place": asdict(case.place), "step_hu": step, "shape": labels.shape}
    archive.writestr(f"{facts.name}/case.json", json.dumps(record))
    archive.writestr(f"{facts.name}/labels", labels.tobytes())
    for name, array in (("hu", case.hu), ("pair", case.pair)):
        if array is not None:
            hu = np.where(labels > 0, np.clip(array.box(), LOWEST_HU, HIGHEST_HU), case.place.air_hu).astype(np.int32)
            archive.writestr(f"{facts.name}/{name}", _bytes((hu - LOWEST_HU + step // 2) // step))
    for name, mask in (("lesion", case.lesion), ("coverage", case.coverage)):
        if mask is not None:
            archive.writestr(f"{facts.name}/{name}", np.packbits(mask.box()).tobytes())


def _unpack_case(archive: zipfile.ZipFile, folder: str, store: Path) -> None:
    record = json.loads(archive.read(folder + "case.json"))
    shape, step, place = record.pop("shape"), record.pop("step_hu"), Place(**record.pop("place"))
    there = {name for name in ("hu", "pair", "lesion", "coverage") if folder + name in archive.namelist()}
    labels = np.frombuffer(archive.read(folder + "labels"), np.uint8).reshape(shape)
    arrays = {"labels": labels}
    for name in there & {"hu", "pair"}:
        levels = _levels(archive.read(folder + name), shape)
        arrays[name] = np.where(labels > 0, levels * step + LOWEST_HU, place.air_hu).astype(np.int16)
    for name in there & {"lesion", "coverage"}:
        bits = np.frombuffer(archive.read(folder + name), np.uint8)
        arrays[name] = np.unpackbits(bits, count=labels.size).reshape(shape).astype(bool)
    write_boxes(store, "train", CaseFacts(**record), place, arrays)


def _bytes(levels: np.ndarray) -> bytes:
    """Differences along x, low bytes first and then the high bytes: most of those are 0 or 255, which compresses
    well.
    """
    difference = np.diff(levels.astype(np.int16), axis=2, prepend=np.int16(0))
    return np.ascontiguousarray(difference).view(np.uint8).reshape(-1, 2).T.tobytes()


def _levels(data: bytes, shape: list[int]) -> np.ndarray:
    pairs = np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(2, -1).T)
    return np.cumsum(pairs.view(np.int16).reshape(shape), axis=2, dtype=np.int32)
