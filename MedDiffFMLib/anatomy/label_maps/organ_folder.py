"""A folder with a mask for each organ, as TotalSegmentator writes it, as one label map of the model's classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import InputError
from ...volumes.reading import READABLE, read_volume
from ...volumes.volume import Volume
from ..classes import BODY
from .class_mapping import ClassMap, check_spelling, shorten, with_warnings
from .numbers import organ_in_name
from .sidecar_names import stems_of
from .values import present, whole_labels


def mask_files(folder: Path) -> list[Path]:
    """The files of a folder that may be masks, without hidden ones, as a Mac leaves beside each."""
    files = (file for file in sorted(folder.iterdir()) if file.is_file() and not file.name.startswith("."))
    return [file for file in files if file.name.lower().endswith(READABLE)]


def read_organ_folder(folder: Path) -> tuple[Volume, int]:
    """The organs of a folder's masks, named by their files (liver.nii.gz), and how many names have no class.

    Empty masks are left out without a word, images with a warning; names of no class count as body, and where organs
    overlap the smaller one has precedence: warnings say so. InputError for masks on different grids, for a file with
    several labels, and for a folder without an organ.
    """
    first, drawn, others, organs, left_out = None, None, [], 0, []
    for file in mask_files(folder):
        mask = _mask(file)
        if mask is None:
            left_out.append(file.name)
            continue
        if first is None:
            first, drawn = mask, ClassMap(mask.voxels.shape)
        elif not mask.same_grid(first):
            raise InputError(
                f"{folder} holds masks on different grids: {file.name} and {Path(first.source).name} differ in size, "
                "spacing or place. Keep those of one CT in the folder."
            )
        number, _ = organ_in_name(file)
        organs += number is not None
        if number is None and mask.voxels.any():
            others.append(stems_of(file)[0])
        drawn.draw(np.where(mask.voxels > 0, np.uint8(number or BODY), np.uint8(0)))
    if first is None or not organs:
        raise InputError(_no_organs(folder, others, left_out))
    check_spelling(folder, others)
    labels = Volume(drawn.voxels, first.spacing, first.origin, first.direction, str(folder), warnings=first.warnings)
    if left_out:
        labels = labels.with_warning(f"{folder}: {shorten(left_out)} left out, no mask of one organ.")
    return with_warnings(labels, folder, others, drawn.overlaps)


def _mask(file: Path) -> Volume | None:
    """A file's mask, None if it is an image. InputError if it holds several labels."""
    volume = read_volume(file)
    try:
        mask = whole_labels(volume)
    except InputError:
        return None
    if (count := len(present(mask))) > 1:
        raise InputError(
            f"{file} holds {count} labels, and a folder of organs has one mask a file: give this file itself if it is "
            "the label map, or take it out of the folder."
        )
    return mask


def _no_organs(folder: Path, others: list[str], left_out: list[str]) -> str:
    within = next((path for path in sorted(folder.iterdir()) if path.is_dir() and mask_files(path)), None)
    if others:
        content = f"only {shorten(others)}"
    else:
        content = f"only {shorten(left_out)}, which show more than one organ" if left_out else "no files at all"
    hint = f"; give the folder {within.name} in it" if within else ""
    return (
        f"{folder} holds no mask that is named after an organ, {content}: name each file as TotalSegmentator does, for "
        f"example liver.nii.gz{hint}."
    )
