"""The liver slices of BMAD (Bao et al. 2024), stacked to pseudo-volumes as the paper does (IV-C3).

The benchmark holds PNG of 8 bits in which everything but the liver is black: test/good and test/Ungood, each with
`img` and, of the latter, `label`, folders in either order. It gives no HU and no spacing: gray is taken for a HU
window, black for air, and slices of one patient (the name before its last number) for neighbors.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MedDiffFMLib.anatomy.classes import label_number
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.frame import AIR_HU
from MedDiffFMLib.volumes.volume import Volume

from .anomaly_case import AnomalyCase

ORGAN, REGION = "liver", "abdomen"
GOOD, ABNORMAL = "good", "ungood"


@dataclass(frozen=True)
class BmadSlice:
    """A slice of a patient: its number, its picture, and the picture of its lesion (None for a healthy one)."""

    patient: str
    number: int
    picture: Path
    label: Path | None


def read_bmad(folder: Path, window: tuple[float, float], pixel_mm: float) -> Iterator[AnomalyCase]:
    """The pseudo-volumes of a folder, one a patient. window: the HU of gray 0 and 255; pixel_mm: between pixels and
    slices. InputError, at once, if it holds no such slices.
    """
    stacks = defaultdict(list)
    for one in find_slices(Path(folder)):
        stacks[one.patient].append(one)
    return (_stacked(name, sorted(stack, key=lambda s: s.number), window, pixel_mm) for name, stack in stacks.items())


def find_slices(folder: Path) -> list[BmadSlice]:
    """The test slices of a folder that holds `test`, or is it. InputError if it has none, or one has no label."""
    test = next((part for part in (folder / "test", folder / "Test") if part.is_dir()), folder)
    pictures: dict[tuple[bool, str], Path] = {}
    labels: dict[str, Path] = {}
    for file in sorted(test.rglob("*.png")):
        words = {part.lower() for part in file.relative_to(test).parts[:-1]}
        if not words & {GOOD, ABNORMAL}:
            continue
        if "label" in words:
            labels[file.name] = file
        else:
            pictures[ABNORMAL in words, file.name] = file
    kinds = {abnormal for abnormal, _ in pictures}
    if kinds != {True, False}:
        raise InputError(f"{folder} has no PNG in test/good and test/Ungood: name the folder of BMAD's liver slices.")
    missing = [name for abnormal, name in pictures if abnormal and name not in labels]
    if missing:
        raise InputError(f"{folder} has no label of {missing[0]}: unpack BMAD with its label folders.")
    return [_slice(file, labels.get(name) if abnormal else None) for (abnormal, name), file in pictures.items()]


def _slice(file: Path, label: Path | None) -> BmadSlice:
    numbers = list(re.finditer(r"\d+", file.stem))
    if not numbers:
        raise InputError(
            f"{file} has no number in its name, by which slices are stacked: name it as PATIENT_SLICE.png."
        )
    last = numbers[-1]
    return BmadSlice(file.stem[: last.start()].rstrip("_- ") or "slices", int(last.group()), file, label)


def _stacked(name: str, stack: list[BmadSlice], window: tuple[float, float], pixel_mm: float) -> AnomalyCase:
    gray = _read([one.picture for one in stack])
    organ = gray > 0
    if not organ.any():
        raise InputError(f"The slices of {name} are all black: give those in which the liver can be seen.")
    lesion = np.zeros(gray.shape, bool)
    for z, one in enumerate(stack):
        if one.label is not None:
            label = _read([one.label])[0]
            if label.shape != gray.shape[1:]:
                raise InputError(f"{one.label} has other pixels than its picture: unpack BMAD again.")
            lesion[z] = label > 0
    low, high = window
    hu = np.where(organ, np.rint(low + gray / 255.0 * (high - low)), AIR_HU).astype(np.int16)
    volume = Volume(hu, (pixel_mm,) * 3, source=name, in_hu=True)
    anatomy = volume.with_voxels(np.where(organ, np.uint8(label_number(ORGAN)), np.uint8(0)))
    return AnomalyCase(name, REGION, ORGAN, volume, anatomy, lesion)


def _read(files: list[Path]) -> np.ndarray:
    """The pictures' gray (z, y, x), uint8. InputError for one that is not gray, or of another size than the first."""
    found = []
    for file in files:
        try:
            picture = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))
        except RuntimeError:
            raise InputError(f"{file} cannot be read as PNG: unpack BMAD again.") from None
        if picture.ndim == 3:
            picture = picture[..., :3]
            if np.ptp(picture, axis=-1).any():
                raise InputError(f"{file} is in color: give BMAD's gray slices.")
            picture = picture[..., 0]
        if picture.dtype != np.uint8:
            raise InputError(f"{file} has {picture.dtype} for gray: give PNG of 8 bits.")
        if found and picture.shape != found[0].shape:
            raise InputError(f"{file} has other pixels than {files[0].name}: give slices of one size.")
        found.append(picture)
    return np.stack(found)
