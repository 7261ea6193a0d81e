"""Read anatomy from files: label maps with the names of their labels, as other programs write them.

Names come from the file itself (TotalSegmentator's NIfTI, a segmentation of 3D Slicer, DICOM SEG), from a file beside
it (`sidecar_names`), or from the names of the masks in a folder (`organ_folder`). Without names, the numbers are taken
for TotalSegmentator's, if they can be (`numbers`).
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError
from ...volumes.io import read_layers, read_volume, resample_labels_to
from ...volumes.volume import Volume
from ..classes import ORGANS, label_for_foreign_name
from .class_mapping import class_of, to_model_classes
from .header_names import Segment, names_in_nifti, segments_in_nrrd
from .name_tables import CountedNames
from .numbers import from_bare_numbers, organ_in_name
from .organ_folder import mask_files, read_organ_folder
from .plausibility import odd_for_hu
from .sidecar_names import SidecarNames, names_beside
from .values import present, whole_labels


@dataclass(frozen=True)
class Anatomy(Volume):
    """A label map of the model's classes (0–121). made_by: where it comes from, in words; as_body: how many of its
    segments have names that no class has, and count as body.
    """

    made_by: str = "given"
    as_body: int = 0


def read_anatomy(path: str | os.PathLike, like: Volume | None = None) -> Anatomy:
    """A label map of the model's classes from a file, a DICOM SEG or a folder with a mask for each organ, on the grid
    of the CT `like` if that is given.

    Names of its segments are translated to the classes' numbers; segments with other names (lesions, for example)
    become body, which is counted. Warnings say where the reading had to choose. InputError if it is no label map, if
    none of its names is an organ's, if numbers without names are no classes, or if it lies outside of `like`.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path.")
    labels, as_body, named = _classes(path)
    if like is not None:
        labels = _on_ct(labels, like, path, named)
    return Anatomy(**_fields(labels), as_body=as_body)


def anatomy_of(labels: Volume, made_by: str) -> Anatomy:
    """A label map of the model's classes with a word about who made it."""
    return Anatomy(**(_fields(labels) | {"made_by": made_by}))


def _fields(volume: Volume) -> dict:
    return {field.name: getattr(volume, field.name) for field in dataclasses.fields(volume)}


def _classes(path: Path) -> tuple[Volume, int, bool]:
    """A label map of the model's classes, how many segments became body, and whether its labels had names."""
    if path.is_dir() and mask_files(path):
        return (*read_organ_folder(path), True)
    layers, segments, beside = read_named(path)
    if segments and not beside.of_map and beside.file:
        _check_file_name(path, layers, segments, beside)
    if segments:
        return (*to_model_classes(layers, segments, path), True)
    return from_bare_numbers(whole_labels(layers[0]), path, beside), 0, False


def read_named(path: Path) -> tuple[list[Volume], list[Segment], SidecarNames]:
    """The layers of a label file, its named segments (empty: no names), and the names found beside it if it has none
    itself.
    """
    if is_dicom(path):
        from .dicom_segmentation import read_dicom_seg

        return (*read_dicom_seg(path), SidecarNames({}))
    name = path.name.lower()
    if name.endswith((".nrrd", ".nhdr")) and (segments := segments_in_nrrd(path)):
        return read_layers(path), segments, SidecarNames({})
    layers = [read_volume(path)]
    beside = names_beside(path)
    if name.endswith((".nii", ".nii.gz")) and (names := names_in_nifti(path)):
        return [_with_name_warning(layers[0], names, beside)], _segments(names), SidecarNames({})
    if isinstance(beside.names, CountedNames):
        layers = [layers[0].with_warning(f"{beside.file} lists names without numbers: counted from 1 for {path}.")]
    return layers, _segments(beside.names), beside


def is_dicom(path: Path) -> bool:
    """Whether a path is a folder, which may hold DICOM SEG, or a DICOM file (some lack the letters DICM)."""
    if path.is_dir() or path.suffix.lower() in (".dcm", ".dicom"):
        return True
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def _with_name_warning(labels: Volume, names: dict[int, str], beside: SidecarNames) -> Volume:
    """A label map with a warning if a file named after it gives other names than its header, which have precedence."""
    both = [
        n
        for n in names
        if n
        and beside.of_map
        and label_for_foreign_name(beside.names.get(n, names[n])) != label_for_foreign_name(names[n])
    ]
    if not both:
        return labels
    first = f"label {both[0]} is {names[both[0]]} there and {beside.names[both[0]]} in {beside.file.name}"
    return labels.with_warning(f"{labels.source} was read with the names in its header: {first}.")


def _segments(names: dict[int, str]) -> list[Segment]:
    return [Segment(name, number) for number, name in names.items() if number]


def _check_file_name(path: Path, layers: list[Volume], segments: list[Segment], beside: SidecarNames) -> None:
    """Check a mask's file name: InputError if it names one organ (colon.nii.gz) and the table of its folder another."""
    organ, _ = organ_in_name(path)
    numbers = present(whole_labels(layers[0])) if organ is not None else []
    named = {class_of(s) for s in segments if s.value in numbers}
    if len(numbers) == 1 and named and organ not in named:
        name = next(s.name for s in segments if s.value in numbers)
        raise InputError(
            f"{path} is named after the {ORGANS[organ]}, but {beside.file.name} beside it calls its label {numbers[0]} "
            f"{name!r}: rename one of them, or give the whole folder if it holds a mask for each organ."
        )


def _on_ct(labels: Volume, ct: Volume, path: Path, named: bool) -> Volume:
    """A label map on its CT's grid, with a warning if its organs do not lie where they can in it. InputError if it had
    no names either: then its numbers are others.
    """
    labels = resample_labels_to(labels, ct)
    odd = odd_for_hu(labels, ct)
    if odd and not named:
        raise InputError(
            f"{path} has no names of its labels, and read with TotalSegmentator's numbers {odd}: its numbers are "
            f'others, or it is of another CT. Give the names in {path.name.split(".")[0]}.json, as {{"1": "liver"}}.'
        )
    return labels.with_warning(f"{path} may not be of this CT: {odd}.") if odd else labels
