"""The training store: a folder of CT volumes ready for random crops.

    SPLIT/NAME/case.json     the facts of the case, and the place of its box (`CaseFacts`, `BoxGeometry`)
    SPLIT/NAME/hu.b2nd       int16 HU, (z, y, x), RAS order, cropped to the body with a margin
    SPLIT/NAME/labels.b2nd   uint8: organs, elsewhere what `find_tissue` finds
    SPLIT/NAME/lesion.b2nd   bool, where lesions are marked; and lesion_voxels.npy, their indices
    SPLIT/NAME/pair.b2nd     int16 HU of a second CT of the patient on the same grid, where there is one
    SPLIT/NAME/coverage.b2nd bool, where HU are the scan's, if it was given in part (see `coverage`)
    SPLIT/NAME/noise.b2nd    int16 HU, noise of low dose for it, where `simulate_noise` made some

Arrays are Blosc2 NDArrays in chunks of 64³ and blocks of 32³: a crop decompresses the blocks that it meets, no more.
They present themselves in the frame of the whole image, whose coordinates are the position's (paper, III-C): cropping
to the body only saves disk space, and positions are those of inference, where nothing is cropped.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from MedDiffFMLib.errors import InputError

CHUNK, BLOCK = 64, 32  # voxels along each axis; a block is what is decompressed at once
MARGIN_MM = 10.0  # of what surrounds the body
HU_RANGE = (-1024, 3071)  # the 12 bits of CT scanners; padding below is air, metal above adds nothing


@dataclass(frozen=True)
class CaseFacts:
    """The facts of a case. `patient`: not the id but a hash of it (`split.patient_hash`); `spacing`: (z, y, x) in mm;
    `placed`: the volume shows its whole region, so positions hold.
    """

    name: str
    patient: str
    region: str
    spacing: tuple[float, float, float]
    noise_hu: float
    placed: bool


@dataclass(frozen=True)
class BoxGeometry:
    """The position of the stored box in the whole image, in its voxels (z, y, x).

    shape: the whole image's; offset: its voxel at the box's first; body: first and last + 1 index of the body along
    each axis; air_hu: what surrounds the box, and what lies outside of the whole image.
    """

    shape: tuple[int, int, int]
    offset: tuple[int, int, int]
    body: tuple[tuple[int, int], ...]
    air_hu: int


class FramedArray:
    """A stored box seen in the frame of its whole image (Z, Y, X): indexed by slices or integers like an array, `fill`
    outside of the box. Only the blocks that an index meets are read.
    """

    def __init__(self, path: Path, geometry: BoxGeometry, fill: int | bool):
        import blosc2

        self._stored = blosc2.open(str(path), mode="r", mmap_mode="r", dparams=blosc2.DParams(nthreads=1))
        self.shape, self.dtype, self._offset, self._fill = geometry.shape, self._stored.dtype, geometry.offset, fill
        self.size, self.ndim = int(np.prod(geometry.shape)), 3

    def __getitem__(self, index: tuple[slice | int, ...]) -> np.ndarray:
        """Voxels of a box: `index` has three slices of step 1, or integers, within the frame."""
        spans = [(i, i + 1) if not isinstance(i, slice) else i.indices(n)[:2] for i, n in self._pairs(index)]
        out = np.full([max(stop - start, 0) for start, stop in spans], self._fill, self.dtype)
        inside, target = [], []
        for (start, stop), offset, have in zip(spans, self._offset, self._stored.shape, strict=True):
            first, last = max(start, offset), min(stop, offset + have)
            inside.append(slice(first - offset, last - offset))
            target.append(slice(first - start, last - start))
        if all(i.stop > i.start for i in inside):
            out[tuple(target)] = self._stored[tuple(inside)]
        return out[tuple(0 if not isinstance(i, slice) else slice(None) for i, _ in self._pairs(index))]

    def _pairs(self, index: tuple[slice | int, ...]) -> list[tuple[slice | int, int]]:
        return [(i if isinstance(i, slice) else int(i), n) for i, n in zip(index, self.shape, strict=True)]

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        whole = self[:, :, :]
        return whole if dtype is None else whole.astype(dtype)

    def box(self) -> np.ndarray:
        """The stored box alone."""
        return self._stored[:]


class Case:
    """One volume of a store. Arrays are opened when they are first asked for, and again in every process."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        record = json.loads((self.folder / "case.json").read_text(encoding="utf-8"))
        place = record.pop("place")
        self.facts = CaseFacts(**record | {"spacing": tuple(record["spacing"])})
        body = tuple(tuple(ends) for ends in place["body"])
        self.geometry = BoxGeometry(tuple(place["shape"]), tuple(place["offset"]), body, place["air_hu"])

    def __reduce__(self):
        return Case, (self.folder,)  # open files do not travel to a DataLoader's workers

    @cached_property
    def hu(self) -> FramedArray:
        return self._array("hu", self.geometry.air_hu)

    @cached_property
    def labels(self) -> FramedArray:
        return self._array("labels", 0)

    @cached_property
    def lesion(self) -> FramedArray | None:
        return self._array("lesion", False)

    @cached_property
    def pair(self) -> FramedArray | None:
        """A second CT of the patient on the grid of `hu`, in HU; None without one."""
        return self._array("pair", self.geometry.air_hu)

    @cached_property
    def coverage(self) -> FramedArray | None:
        """The mask of where a scan was given that was given in part; None for a whole scan."""
        return self._array("coverage", False)

    @cached_property
    def noise(self) -> FramedArray | None:
        """Simulated noise of low dose, `low_dose.NOISE_HU` in soft tissue; None if none was simulated."""
        return self._array("noise", 0)

    @cached_property
    def lesion_voxels(self) -> np.ndarray:
        """Indices (N, 3) of the lesion's voxels in the whole image; none if no lesion is marked."""
        path = self.folder / "lesion_voxels.npy"
        return np.load(path, mmap_mode="r") if path.exists() else np.empty((0, 3), int)

    @property
    def body_box(self) -> tuple[tuple[int, int], ...]:
        """First and last+1 index of the body along z, y and x."""
        return self.geometry.body

    def _array(self, name: str, fill: int | bool) -> FramedArray | None:
        path = self.folder / f"{name}.b2nd"
        return FramedArray(path, self.geometry, fill) if path.exists() else None


def open_store(folder: Path, split: str) -> list[Case]:
    """The cases of one split ("train", "validation"), sorted by name. InputError if there are none."""
    found = sorted((Path(folder) / split).glob("[!.]*/case.json"))
    if not found:
        raise InputError(f"There are no prepared cases in {Path(folder) / split}: run meddiff-fm train prepare first.")
    if (found[0].parent / "hu.npy").exists():
        raise InputError(f"{folder} was prepared by an earlier version: run meddiff-fm train prepare again.")
    return [Case(path.parent) for path in found]


def write_case(
    folder: Path,
    split: str,
    facts: CaseFacts,
    hu: np.ndarray,
    labels: np.ndarray,
    lesion: np.ndarray | None = None,
    pair: np.ndarray | None = None,
    coverage: np.ndarray | None = None,
) -> Path:
    """Write one case, whole or not at all, in place of one of the same name; returns its folder.

    hu and pair: HU of the whole image (Z, Y, X) in RAS order, clipped to `HU_RANGE` and rounded; labels uint8 and
    lesion and coverage bool on the same grid. What is stored is the box around the body
    (labels > 0), lesions and `MARGIN_MM`.
    """
    lesion = lesion.astype(bool) if lesion is not None and lesion.any() else None
    body = bounding_box(labels > 0)
    kept = bounding_box(labels > 0 if lesion is None else (labels > 0) | lesion)
    margins = [round(MARGIN_MM / s) for s in facts.spacing]
    box = tuple(slice(max(0, a - m), min(n, b + m)) for (a, b), m, n in zip(kept, margins, hu.shape, strict=True))
    geometry = BoxGeometry(hu.shape, tuple(s.start for s in box), tuple(body), _air(hu, labels))
    arrays = {"hu": _as_int16(hu[box]), "labels": labels[box].astype(np.uint8)}
    if lesion is not None:
        arrays["lesion"] = lesion[box]
    if pair is not None:
        arrays["pair"] = _as_int16(pair[box])
    if coverage is not None:
        arrays["coverage"] = coverage[box]
    return _write_boxes(folder, split, facts, geometry, arrays)


def _write_boxes(
    folder: Path, split: str, facts: CaseFacts, geometry: BoxGeometry, arrays: dict[str, np.ndarray]
) -> Path:
    """Write the arrays of a case, cropped already, by name; into a `.part` folder, then renamed."""
    target = Path(folder) / split / facts.name
    part = target.with_name(f".{facts.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, array in arrays.items():
        _write_array(part / f"{name}.b2nd", array)
    if "lesion" in arrays:
        voxels = np.argwhere(arrays["lesion"]) + np.array(geometry.offset)
        np.save(part / "lesion_voxels.npy", voxels.astype(np.int16))
    record = asdict(facts) | {"place": asdict(geometry)}
    (part / "case.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    remove_case(target)
    os.replace(part, target)
    return target


def write_noise(case: Case, noise: np.ndarray) -> None:
    """Add noise (HU, on the stored box) to a case; whole or not at all."""
    part = case.folder / "noise.part.b2nd"
    _write_array(part, np.rint(noise).astype(np.int16))
    os.replace(part, case.folder / "noise.b2nd")


def remove_case(folder: Path) -> None:
    """Remove a case, if there is one: it is renamed first, so that no half-removed case is ever read."""
    if folder.exists():
        gone = folder.with_name(f".{folder.name}.gone.part")
        shutil.rmtree(gone, ignore_errors=True)
        os.replace(folder, gone)
        shutil.rmtree(gone)


def bounding_box(mask: np.ndarray) -> list[tuple[int, int]]:
    """First and last + 1 index of a mask along each axis; the whole axis if the mask is empty."""
    box = []
    for axis in range(mask.ndim):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        box.append((int(hit[0]), int(hit[-1]) + 1) if len(hit) else (0, mask.shape[axis]))
    return box


def _air(hu: np.ndarray, labels: np.ndarray) -> int:
    """HU of the air around the body: the median outside of it, −1000 where nothing or no air is there."""
    outside = hu[labels == 0]
    air = int(np.median(np.maximum(outside, HU_RANGE[0]))) if outside.size else -1000
    return air if air < -900 else -1000


def _as_int16(hu: np.ndarray) -> np.ndarray:
    clipped = np.clip(hu, *HU_RANGE)
    return (clipped if np.issubdtype(hu.dtype, np.integer) else np.rint(clipped)).astype(np.int16)


def _write_array(path: Path, array: np.ndarray) -> None:
    import blosc2

    chunks, blocks = (tuple(min(most, n) for n in array.shape) for most in (CHUNK, BLOCK))
    settings = blosc2.CParams(codec=blosc2.Codec.ZSTD, clevel=5, filters=[blosc2.Filter.SHUFFLE], nthreads=1)
    array = np.ascontiguousarray(array)
    blosc2.asarray(array, chunks=chunks, blocks=blocks, urlpath=str(path), mode="w", cparams=settings)
