"""Label maps without names: the classes that their numbers, or the name of the file, can mean."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...volumes.volume import Volume
from ..classes import GAS, ORGANS, label_for_foreign_name, label_numbers
from .class_mapping import shorten
from .plausibility import odd_for_numbers
from .sidecar_names import SidecarNames, stems_of
from .values import present

_MASK_VALUES = (1, 255)
_MASK_WORDS = ("seg", "mask", "label", "segmentation", "binary", "roi")  # that may follow an organ in a file's name
_CASE_WORDS = (*_MASK_WORDS, *"case patient pat subject subj sub scan ct id img image volume vol series s".split())
_MAISI = (*range(GAS + 1, 133), 200)  # of its classes and its body, those that are none here


def from_bare_numbers(labels: Volume, path: Path, beside: SidecarNames) -> Volume:
    """A label map without names in the model's classes: its numbers are taken for TotalSegmentator's, with a warning.

    A mask of one organ takes its class from its file's name (colon.nii.gz). InputError for a mask that is named after
    nothing, and for numbers that cannot be TotalSegmentator's (version 2).
    """
    numbers = present(labels)
    if not numbers:
        return labels.with_warning(f"{path} holds no labels, only background.")
    organ, certain = organ_in_name(path)
    if len(numbers) == 1 and (organ is not None or numbers[0] in _MASK_VALUES):
        return _mask(labels, numbers[0], organ, certain, path, beside)
    if numbers[-1] > GAS:
        raise InputError(_too_high(path, numbers))
    _check_name(path, numbers)
    if odd := odd_for_numbers(labels):
        raise InputError(
            f"{path} has no names of its labels, and its numbers are not those of TotalSegmentator 2: {odd}; "
            f"{_way_out(path)}."
        )
    class_names = shorten([f"{number} {ORGANS[number]}" for number in numbers])
    return labels.with_warning(
        f"{path} has no names of its labels{_not_understood(beside)}: its numbers were taken for TotalSegmentator's "
        f"({class_names})."
    )


def organ_in_name(path: Path) -> tuple[int | None, bool]:
    """The class that a file is named after, and whether nothing else is in the name: colon.nii.gz → (20, True),
    s0001_liver_mask.nii.gz → (5, False), liver_tumor.nii.gz → (None, False).
    """
    stem = stems_of(path)[0]
    if (number := label_for_foreign_name(stem)) is not None:
        return number, True
    words = re.findall(r"[a-z0-9]+", stem.lower())
    while words and words[-1] in _MASK_WORDS:
        words.pop()
    for first in range(len(words)):
        number = label_for_foreign_name("_".join(words[first:]))
        if number is not None and all(w in _CASE_WORDS or re.search(r"\d", w) for w in words[:first]):
            return number, False
    return None, False


def _mask(labels: Volume, value: int, organ: int | None, certain: bool, path: Path, beside: SidecarNames) -> Volume:
    """The mask of the organ that its file is named after, from a map of one value."""
    if organ is None:
        raise InputError(
            f"{path} holds one mask and no name, so which organ it shows is unknown{_not_understood(beside)}: name "
            f"the file after the organ, as liver.nii.gz, or {_way_out(path)}."
        )
    mask = labels.with_voxels(np.where(labels.voxels > 0, np.uint8(organ), np.uint8(0)))
    if not certain:
        mask = mask.with_warning(f"{path} holds one mask, taken for {ORGANS[organ]} by the file's name.")
    if value not in (*_MASK_VALUES, organ):
        other = f" ({ORGANS[value]} in TotalSegmentator)" if value in ORGANS else ""
        mask = mask.with_warning(f"{path} holds label {value}{other}, taken for {ORGANS[organ]} by the file's name.")
    return mask


def _check_name(path: Path, numbers: list[int]) -> None:
    """Check the file's name against its labels: InputError if it is named after an organ whose number is not in it."""
    organ, certain = organ_in_name(path)
    if organ is not None and certain and not {organ, *label_numbers(ORGANS[organ])} & set(numbers):
        raise InputError(
            f"{path} is named after the {ORGANS[organ]} but holds {len(numbers)} labels without names, none of them "
            f"TotalSegmentator's number for it ({organ}): give names in {_json_name(path)}, as "
            '{"1": "liver"}.'
        )


def _too_high(path: Path, numbers: list[int]) -> str:
    maisi = " (MAISI and VISTA-3D number organs so: their label_dict.json will do)" if numbers[-1] in _MAISI else ""
    return (
        f"{path} holds labels up to {numbers[-1]} without names, and the model's classes end at {GAS}: give "
        f'TotalSegmentator\'s numbers, or the names in {_json_name(path)}, as {{"1": "liver"}}{maisi}.'
    )


def _way_out(path: Path) -> str:
    return f'give the names in {_json_name(path)}, as {{"1": "liver"}}'


def _json_name(path: Path) -> str:
    return f"{path.name.split('.')[0]}.json"


def _not_understood(beside: SidecarNames) -> str:
    """The files beside the map that were not understood, in words."""
    files = [file.name for file in beside.unclear]
    return f" ({shorten(files)} beside it hold{'s' * (len(files) == 1)} none that are understood)" if files else ""
